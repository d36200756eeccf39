// SPDX-License-Identifier: GPL-2.0-only
/* elements.bpf.c -- maps whose keys and values have every type that C and BTF know, for elements_test.ts */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum color { RED = 1, GREEN = 2, BLUE = -3 };
enum width { NARROW = 1, WIDE = 0x123456789abcdef0ull };
enum level { LOW, HIGH = 4000000000u };
typedef unsigned char octet;
typedef long long number;

struct inner {
	int a;
	char text[5];
};

/* What bpftool shows as task-iter does, or in another way that the test knows. */
struct value {
	int i;
	unsigned int u;
	short s;
	unsigned short us;
	signed char sc;
	octet o;
	long l;
	unsigned long ul;
	number n;
	const volatile _Bool yes;
	char c;
	enum color color;
	char name[16];
	char lines[2][6];
	void *pointer;
	struct inner nested[2][3];
	union {
		int x;
		unsigned char bytes[4];
	} either;
	union {
		short half;
		int whole;
	};
	struct {
		int anonymous;
		struct {
			int deeper;
		};
	};
	unsigned int three : 3;
	int five : 5;
	unsigned long forty : 40;
	int over : 20;
	unsigned char raw[4];
	int none[0];
} __attribute__((packed));

struct wide {
	float single;
	double pi;
	__int128 huge;
	unsigned __int128 tag;
	enum width width;
	enum level level, unknown;
	enum color hue : 4;
	long least, most;
	unsigned long all;
};

struct locked {
	struct bpf_spin_lock lock;
	int after;
	struct bpf_timer timer;
	int last;
};

struct long_one {
	int count;
	char text[6000];
};

#define MAP(map, kind, size, k, v)                                           \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_##kind);                           \
		__uint(max_entries, size);                                   \
		__type(key, k);                                              \
		__type(value, v);                                            \
	} map SEC(".maps")

MAP(el_hash, HASH, 100, struct inner, struct value);
MAP(el_lru, LRU_HASH, 10, number, enum color);
MAP(el_percpu, PERCPU_ARRAY, 2, int, struct inner);
MAP(el_percpu_hash, PERCPU_HASH, 20, struct inner, octet);
MAP(el_array, ARRAY, 2, unsigned int, char[8]);
MAP(el_locked, ARRAY, 1, int, struct locked);
MAP(el_long, ARRAY, 2, int, struct long_one);

struct wide wide = {
	.single = 1.5, .pi = 3.141592653589793, .huge = -2, .tag = 255, .width = WIDE, .level = HIGH, .unknown = 3999999999u, .hue = BLUE,
	.least = -0x7fffffffffffffff - 1, .most = 0x7fffffffffffffff, .all = 0xffffffffffffffff,
};
char greeting[12] = "he\"llo\n\xc2\x85\xc3\xa9";
int counter = 42;

SEC("socket")
int use(void *context)
{
	long sum = wide.least + greeting[0] + counter;

	bpf_map_lookup_elem(&el_hash, greeting);
	bpf_map_lookup_elem(&el_lru, greeting);
	bpf_map_lookup_elem(&el_percpu, greeting);
	bpf_map_lookup_elem(&el_percpu_hash, greeting);
	bpf_map_lookup_elem(&el_array, greeting);
	bpf_map_lookup_elem(&el_long, greeting);
	return sum;
}

SEC("tc")
int use_locked(void *context)
{
	int zero = 0;
	struct locked *locked = bpf_map_lookup_elem(&el_locked, &zero);

	return locked ? locked->after : 0;
}

char LICENSE[] SEC("license") = "GPL";
