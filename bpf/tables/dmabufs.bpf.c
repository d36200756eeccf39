/* SPDX-License-Identifier: GPL-2.0-only */
/* dmabufs.bpf.c -- DMA buffers, one row each; this iterator makes no call at its end */
#include "../engine/table.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(ino, U64, 10, dmabuf->file->f_inode->i_ino, "Inode number, as fstat gives it for the buffer's descriptors.") \
	COL(size, U64, 12, dmabuf->size, "Size in bytes.")                   \
	COL(name, STR, 16, string_of(dmabuf->name), "Name that user space gave it; none for most.") \
	COL(exporter, STR, 16, string_of(dmabuf->exp_name), "Driver or heap that exports it.")

#define IDENTITY(I) I(ino)

TABLE(dmabufs, "dmabuf", "6.16", "DMA buffers", "Buffers that drivers and processes share (dma-buf).")

/* The helper fails for NULL, so a buffer without a name has no string. */
#define string_of(string) (bpf_probe_read_kernel_str(source, 256, string) - 1)

SEC("iter/dmabuf")
int dump(struct bpf_iter__dmabuf *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct dma_buf *dmabuf = ctx->dmabuf;

	if (!dmabuf)
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
