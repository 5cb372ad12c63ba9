/* plugin_note.c — see plugin_note.h. ELF: System V ABI, chapters 4 and 5. */
#define _GNU_SOURCE
#include "train/plugin_note.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined __x86_64__
enum { OUR_MACHINE = EM_X86_64 };
#elif defined __aarch64__
enum { OUR_MACHINE = EM_AARCH64 };
#else
enum { OUR_MACHINE = EM_NONE };
#endif

enum {
    /* What ABI 1.0 had; the structs may grow, these may not. */
    PLUGIN_BYTES_1_0 = offsetof(struct nn_plugin, build) + sizeof(void (*)(void)),
    VARIANT_BYTES_1_0 = offsetof(struct nn_variant, recipe) + sizeof(void *),
    SIZE_LIMIT = 1 << 20, /* no descriptor is a megabyte */
    MAX_SEGMENTS = 1024,
};

struct file {
    const char *path;
    const unsigned char *bytes;
    size_t size;
    struct err *err;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct file *f, const char *fmt, ...)
{
    struct err why;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why.text, sizeof why.text, fmt, ap);
    va_end(ap);
    return err_status(f->err, EXIT_PLUGIN, "%.300s: %.400s", f->path, why.text);
}

/* `n` bytes at `at` are in the file; no sum can wrap. */
static bool is_inside(const struct file *f, uint64_t at, uint64_t n)
{
    return at <= f->size && n <= f->size - at;
}

static bool check_text(const struct file *f, const char *field, const char *text, size_t room)
{
    if (!memchr(text, '\0', room))
        return refuse(f, "%s: no end within %zu bytes", field, room);
    return true;
}

bool note_check(const char *path, const struct nn_note_body *note, struct err *err)
{
    const struct {
        const char *field;
        uint32_t found, least, most;
    } rule[] = {
        {"magic", note->magic, NN_PLUGIN_MAGIC, NN_PLUGIN_MAGIC},
        {"abi_major", note->abi_major, NN_ABI_MAJOR, NN_ABI_MAJOR},
        {"size", note->plugin_size, PLUGIN_BYTES_1_0, SIZE_LIMIT},
        {"variant_size", note->variant_size, VARIANT_BYTES_1_0, SIZE_LIMIT},
        {"pointer_bytes", note->pointer_bytes, sizeof(void *), sizeof(void *)},
    };
    const struct file f = {.path = path, .err = err};
    for (size_t i = 0; i < sizeof rule / sizeof rule[0]; i++) {
        const bool exact = rule[i].least == rule[i].most;
        if (rule[i].found < rule[i].least || rule[i].found > rule[i].most)
            return refuse(
                &f, i == 0 ? "%s: found 0x%x, expected 0x%x%s" : "%s: found %u, expected %u%s",
                rule[i].field, rule[i].found, rule[i].least, exact ? "" : " or more");
    }
    if (!note->name[0])
        return refuse(&f, "name: found nothing, expected a name");
    return true;
}

static bool take_body(const struct file *f, const unsigned char *body, uint32_t bytes,
                      struct nn_note_body *out)
{
    struct nn_note_body n;
    if (bytes < sizeof n)
        return refuse(f, "note: found %u bytes, expected %zu or more", bytes, sizeof n);
    memcpy(&n, body, sizeof n);
    if (!check_text(f, "note: name", n.name, sizeof n.name) ||
        !check_text(f, "note: title", n.title, sizeof n.title) ||
        !check_text(f, "note: variants", n.variants, sizeof n.variants))
        return false;
    if (!note_check(f->path, &n, f->err))
        return false;
    *out = n;
    return true;
}

static uint64_t padded(uint64_t n, uint64_t align) { return (n + align - 1) / align * align; }

/* 1: ours, read; 0: none here; -1: refused. Note: namesz, descsz, type, name, desc; name and
 * desc are padded to the segment's alignment, but ours is 4 always, as in the struct. */
static int search_segment(const struct file *f, uint64_t at, uint64_t bytes,
                          struct nn_note_body *out)
{
    for (const uint64_t end = at + bytes; end - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr head;
        memcpy(&head, f->bytes + at, sizeof head);
        const uint64_t name = at + sizeof head, body = name + padded(head.n_namesz, 4);
        const uint64_t next = body + padded(head.n_descsz, 4);
        if (body > end || head.n_descsz > end - body)
            return refuse(f, "note at offset %llu runs over its segment", (unsigned long long)at),
                   -1;
        if (head.n_type == 1 && head.n_namesz == sizeof "bench" &&
            memcmp(f->bytes + name, "bench", sizeof "bench") == 0)
            return take_body(f, f->bytes + body, head.n_descsz, out) ? 1 : -1;
        if (next > end)
            break;
        at = next;
    }
    return 0;
}

static bool check_elf(const struct file *f, Elf64_Ehdr *head)
{
    if (f->size < sizeof *head)
        return refuse(f, "found %zu bytes, expected an ELF file", f->size);
    memcpy(head, f->bytes, sizeof *head);
    if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return refuse(f, "no ELF file");
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB)
        return refuse(f, "ELF class: found %d-bit %s-endian, expected 64-bit little-endian",
                      head->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32,
                      head->e_ident[EI_DATA] == ELFDATA2LSB ? "little" : "big");
    if (head->e_machine != OUR_MACHINE)
        return refuse(f, "ELF machine: found %u, expected %d", head->e_machine, OUR_MACHINE);
    if (head->e_type != ET_DYN)
        return refuse(f, "ELF type: found %u, expected %d, a shared object", head->e_type, ET_DYN);
    if (head->e_phentsize != sizeof(Elf64_Phdr) || head->e_phnum > MAX_SEGMENTS ||
        !is_inside(f, head->e_phoff, (uint64_t)head->e_phnum * sizeof(Elf64_Phdr)))
        return refuse(f, "ELF program headers: %u of %u bytes at %llu are not in the file",
                      head->e_phnum, head->e_phentsize, (unsigned long long)head->e_phoff);
    return true;
}

bool note_parse(const char *path, const void *bytes, size_t size, struct nn_note_body *note,
                struct err *err)
{
    const struct file f = {path, bytes, size, err};
    Elf64_Ehdr head = {0};
    if (!check_elf(&f, &head))
        return false;
    for (int i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, f.bytes + head.e_phoff + (size_t)i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_NOTE)
            continue;
        if (!is_inside(&f, segment.p_offset, segment.p_filesz))
            return refuse(&f, "note segment %d is not in the file", i);
        const int found = search_segment(&f, segment.p_offset, segment.p_filesz, note);
        if (found)
            return found > 0;
    }
    return refuse(&f, "no bench note: NN_PLUGIN_NOTE() is missing, or this is no plugin");
}

bool note_read(const char *path, struct nn_note_body *note, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        const int why = fd < 0 ? errno : EINVAL;
        if (fd >= 0)
            close(fd);
        return err_status(err, EXIT_PLUGIN, "cannot read plugin '%.300s': %s", path,
                          why == EINVAL ? "not a file" : strerror(why));
    }
    const size_t size = (size_t)st.st_size;
    void *map = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (map == MAP_FAILED)
        return err_set(err, "cannot map '%.300s': %s", path, strerror(errno));
    const bool fine = note_parse(path, map ? map : "", size, note, err);
    if (map)
        munmap(map, size);
    return fine;
}
