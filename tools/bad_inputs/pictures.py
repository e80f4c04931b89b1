"""Damage to pictures."""
import struct
import zlib

from PIL import Image

from .corpus import add, flipped_bits, rewrite


def chunk(name, data): return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(width, height):
    "A whole PNG file of one bit a pixel, all black: some hundred kilobytes."
    packer, row = zlib.compressobj(9), bytes(1 + -(-width//8))
    data = b"".join(packer.compress(row*100) for _ in range(height//100)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def with_chunk(name, data):
    "Damage: a further chunk in a PNG file, after its header."
    return lambda file: rewrite(file, lambda b: b[:33] + chunk(name, data) + b[33:])


def saved_as(format, mode="RGB", size=None, **options):
    "Damage: the picture in another format or mode, or of another size, under its old name."
    def damage(file):
        picture = Image.open(file).convert("RGB").resize(size or Image.open(file).size).convert(mode)
        picture.save(file, format, **options)
    return damage


def exif(data): return lambda file: Image.open(file).save(file, exif=b"Exif\0\0" + data)


def bad_pictures(name, png=True):
    "Cases of a kind that reads pictures."
    add(name, "60000 x 60000 pixels in a small file", lambda f: f.write_bytes(huge_png(60_000, 60_000)))
    add(name, "9000 x 9000 pixels", lambda f: f.write_bytes(huge_png(9000, 9000)))
    add(name, "a header of 2 billion pixels each way", lambda f: f.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0,
                                                          0)) + chunk(b"IDAT", b"")))
    add(name, "of no size", lambda f: f.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")))
    add(name, "a program in PostScript",
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(../code-ran) (w) file\n%%EOF\n")
    add(name, "a drawing in SVG", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    add(name, "sixteen bits", saved_as("PNG", "I;16"), refused=False)
    add(name, "numbers with fractions", saved_as("TIFF", "F"))
    for format in ("BMP", "TIFF", "GIF", "WEBP"): add(name, f"{format} under this name", saved_as(format),
                                                      refused=False)
    if png:
        add(name, "a text that unpacks to 100 MB", with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))),
            refused=False)
        add(name, "a colour profile that unpacks to 100 MB", with_chunk(b"iCCP",
                b"a\0\0" + zlib.compress(bytes(100_000_000))), False)
        add(name, "a broken chunk", with_chunk(b"tRNS", b"abc"), refused=False)
        add(name, "an unknown chunk that matters", with_chunk(b"ABCD", b"abc"), refused=False)
        add(name, "a wrong checksum", lambda f: rewrite(f, lambda b: b[:29] + b"abcd" + b[33:]))
        add(name, "its last byte missing", lambda f: rewrite(f, lambda b: b[:-13]), refused=False)
    for i in range(6): add(name, f"bits flipped again ({i})", lambda f, i=i: flipped_bits(f, 1 + i), refused=False)
