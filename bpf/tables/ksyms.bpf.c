/* SPDX-License-Identifier: GPL-2.0-only */
/* ksyms.bpf.c -- kernel symbols, one row each; without their addresses */
#include "../engine/table.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(name, STR, 40, name_of(ksym), "Name of the symbol.") \
	COL(type, TEXT, 4, type_of(ksym), "Type letter, as in /proc/kallsyms and nm: t or T is code.") \
	COL(module, STR, 16, module_of(ksym), "Module that it is in (bpf: a program); none for the kernel itself.")

#define IDENTITY(I) I(name) I(module)

TABLE(ksyms, "ksym", "6.0", "kernel symbols", "Symbols of the kernel, its modules and BPF programs.")

/*
 * Reads whole words, where the helper would go byte by byte; it reads the few long names. Until 6.15 or so a kernel refuses to
 * relocate a load from an array of another size than it has: only the address is relocated.
 */
static __always_inline long name_of(struct kallsym_iter *ksym)
{
	const char *name = ksym->name;

	barrier_var(name);
	for (u32 i = 0; i < CHUNK; i += 8) {
		u64 word = WORD(name + i), nul = BELOW(word, 1);

		WORD(source + i) = word;
		if (nul)
			return i + bytes_below(nul);
	}
	return bpf_probe_read_kernel_str(source, bpf_core_field_size(ksym->name), ksym->name) - 1;
}

/* As in /proc/kallsyms, an exported symbol of a module has a capital letter. */
static __always_inline struct text type_of(struct kallsym_iter *ksym)
{
	u8 letter = ksym->type;
	struct text text = { .length = 1 };

	if (ksym->module_name[0])
		letter = ksym->exported ? letter & ~0x20 : letter | 0x20;
	text.low = letter;
	return text;
}

static __always_inline long module_of(struct kallsym_iter *ksym)
{
	if (!ksym->module_name[0])
		return NO_STRING;
	return bpf_probe_read_kernel_str(source, sizeof(ksym->module_name), ksym->module_name) - 1;
}

/*
 * At the end of a walk this iterator calls the program once more, with the last symbol instead of NULL. The symbol's module is
 * then the last source of symbols, which is kprobes.
 */
static u64 value_before;

static __always_inline bool is_end(struct kallsym_iter *ksym)
{
	u64 value = ksym->value, before = value_before;
	char module[8] = {};

	value_before = value;
	if (value != before)
		return false;
	bpf_probe_read_kernel(module, sizeof(module), ksym->module_name);
	return WORD(module) == literal_word("__builtin", 0, 8);
}

SEC("iter/ksym")
int dump(struct bpf_iter__ksym *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct kallsym_iter *ksym = ctx->ksym;

	if (!ksym)
		return 0;
	if (is_end(ksym))
		return 0;
	START_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	if (seq->count == seq->size)
		value_before = 0;	/* the row did not fit, and the kernel calls again for it */
	return 0;
}
