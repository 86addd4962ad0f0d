"""Bitmap fonts and the pictures of tokens that are drawn with them."""

import gzip
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexitok.text.drawing import DRAWINGS, SIZES, draw, draw_tokens, unpack
from lexitok.text.hex_font import FontError, HexFont, default_font

BAR = bytes([0x18] * 16)  # 8 wide: a stroke of two pixels
SQUARE = b"\xff\xff" + b"\x80\x01" * 14 + b"\xff\xff"  # 16 wide: a frame
FULL = b"\xff" * 32
SMALL = HexFont({0x20: bytes(16), 0xA0: bytes(16), ord("l"): BAR, ord("I"): BAR, 0x4E00: SQUARE, 0x2588: FULL})
LINES = {"l": "006C:" + BAR.hex(), "box": "4E00:" + SQUARE.hex()}


@pytest.fixture(scope="module")
def font() -> HexFont:
    return HexFont.read()


def test_a_line_is_read_row_by_row_from_the_left(tmp_path):
    """Rows in another order, or bits from the right, would still look like glyphs to a model, but to nobody else."""
    path = tmp_path / "small.hex"
    path.write_text("# letters\n\n0041:" + "80" + "00" * 14 + "01" + "\n" + LINES["box"] + "\n")
    font = HexFont.read(path)
    letter = font.bitmap(0x41)
    assert letter.shape == (16, 8) and np.argwhere(letter).tolist() == [[0, 0], [15, 7]]
    assert font.bitmap(0x4E00).shape == (16, 16) and font.bitmap(0x4E00).sum() == 60
    assert font.codes() == [0x41, 0x4E00] and 0x42 not in font and len(font) == 2
    with pytest.raises(KeyError, match=r"small.hex has no glyph for U\+0042"):
        font.bitmap(0x42)


def test_compressed_fonts_are_read_and_changed_ones_are_read_again(tmp_path):
    """Unifont is published compressed; and what is kept of a file must not outlive it."""
    path = tmp_path / "small.hex.gz"
    path.write_bytes(gzip.compress(LINES["l"].encode()))
    assert HexFont.read(path).codes() == [0x6C]
    path.write_bytes(gzip.compress(LINES["box"].encode()))
    assert HexFont.read(path).codes() == [0x4E00]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{l}\n0042:00\n", r"bad.hex:2: 2 digits; a glyph has 32"),
        ("{l}\n\n0042;{bar}\n", r"bad.hex:3: '0042;.*is not a code point"),
        ("0042:" + "0g" * 16, r"bad.hex:1: .*hexadecimal"),
        ("110000:{bar}", r"bad.hex:1: .*is not a code point"),
        ("{l}\n{l}\n", r"bad.hex:2: U\+006C is there a second time"),
        ("\n", r"bad.hex: there is no glyph"),
        ("é", r"bad.hex: byte 0 is not ASCII"),
    ],
)
def test_a_damaged_font_is_refused_with_file_and_line(tmp_path, text, message):
    """A font read in part would draw other symbols than the one that a model was trained with."""
    path = tmp_path / "bad.hex"
    path.write_text(text.replace("{l}", LINES["l"]).replace("{bar}", BAR.hex()))
    with pytest.raises(FontError, match=message):
        HexFont.read(path)


def test_a_font_that_is_not_there_is_named(tmp_path, monkeypatch):
    """What to install, or which path is wrong, has to be in the message."""
    with pytest.raises(FontError, match=r"none.hex: No such file"):
        HexFont.read(tmp_path / "none.hex")
    (tmp_path / "cut.hex.gz").write_bytes(gzip.compress(b"0041:" * 99)[:-9])
    with pytest.raises(FontError, match=r"cut.hex.gz: cannot be read"):
        HexFont.read(tmp_path / "cut.hex.gz")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FontError, match=r"'terminedia', which is not installed.*--extra glyphs"):
        default_font()


@pytest.mark.parametrize("drawing", DRAWINGS)
@pytest.mark.parametrize("size", SIZES)
def test_one_character_is_its_glyph_centred_and_doubled(drawing, size):
    """What is drawn of a single character is what the font has, in every size and drawing."""
    times = size // 16
    wanted = np.pad(SMALL.bitmap(ord("l")), ((0, 0), (4, 4)))
    np.testing.assert_array_equal(
        draw(b"l", SMALL, size=size, drawing=drawing), wanted.repeat(times, 0).repeat(times, 1)
    )
    wide = draw("一".encode(), SMALL, size=size, drawing=drawing)
    np.testing.assert_array_equal(wide, SMALL.bitmap(0x4E00).repeat(times, 0).repeat(times, 1))
    assert draw("█".encode() * 3, SMALL, size=size, drawing=drawing).all()


def test_strips_are_squeezed_by_area():
    """Two cells in one: each pixel is the mean of two columns, and half of it has to be ink; computed by hand."""
    picture = draw("一l".encode(), SMALL)
    rows = np.zeros((16, 32), bool)
    rows[:, :16] = SMALL.bitmap(0x4E00)
    rows[:, 20:28] = SMALL.bitmap(ord("l"))
    np.testing.assert_array_equal(picture, rows.reshape(16, 16, 2).mean(axis=2) >= 0.5)
    three = draw(b"lll", SMALL, size=32)  # strokes of 4 in 96 columns, squeezed by 3: none fills half a pixel but these
    fine = np.tile(np.pad(SMALL.bitmap(ord("l")), ((0, 0), (4, 4))), 3).repeat(2, 1).reshape(16, 32, 3).mean(axis=2)
    np.testing.assert_array_equal(three, (fine >= 0.5).repeat(2, 0))


def test_published_drawings_coincide_where_the_published_table_does(font):
    """The flaw of the published table is reproduced: white space is one vector, and so are letters that look alike."""
    blank = [b"\n", b"\r", b"\t", b"\0", b" ", b"  ", "\u00a0".encode(), "\u3000".encode(), "\u0085".encode()]
    assert not draw_tokens(blank, font).any()
    alike = draw_tokens([c.encode() for c in "AАΑ"], font)
    assert (alike == alike[0]).all() and alike.any()
    assert not draw(b" internationalization", font).any()  # a long token's ink is gone


def test_legible_drawings_tell_white_space_and_long_tokens_apart(font):
    """That is what they are for."""
    texts = ["\n", "\r", "\t", " ", "  ", "   ", "\u00a0", "\u3000", " in", "in", "\tin", " internationalization"]
    texts += ["internationalization", "internationalisation", "====", "======"]
    packed = draw_tokens([text.encode() for text in texts], font, drawing="legible", size=32)
    assert len(np.unique(packed, axis=0)) == len(texts) and packed.any(axis=1).all()


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_bytes_specials_and_missing_glyphs_have_pictures_of_their_own(font, drawing):
    """Byte models are made of bytes that are no characters, and no two of them may look alike."""
    tokens = [bytes([b]) for b in range(128, 256)] + ["😀".encode(), "🌝".encode(), "\U00010000".encode()] + [b""] * 4
    packed = draw_tokens(tokens, font, drawing=drawing, names={131: "<bos>"})
    assert len(np.unique(packed, axis=0)) == len(tokens)
    np.testing.assert_array_equal(unpack(packed)[131], ~draw(b"<bos>", font, drawing=drawing))
    assert unpack(packed)[132, 0].sum() == 0  # the frame of a box, white


def test_a_piece_of_a_character_is_drawn_byte_by_byte(font):
    """Tokens end within characters; what is whole in them is drawn as such."""
    whole, cut = "é界".encode(), "é界".encode()[:-1]
    pictures = unpack(draw_tokens([whole, cut, cut[:3], "é".encode()], font, size=64))
    assert len({picture.tobytes() for picture in pictures}) == 4
    np.testing.assert_array_equal(pictures[1][:, :16], draw("é  ".encode(), font, size=64)[:, :16])


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=6), max_size=8), st.sampled_from(SIZES), st.sampled_from(sorted(DRAWINGS)))
def test_a_picture_depends_on_its_token_alone(tokens, size, drawing):
    """Tokens are drawn in groups of one length; that must not show."""
    pictures = unpack(draw_tokens(tokens, SMALL, size=size, drawing=drawing))
    assert pictures.shape == (len(tokens), size, size)
    for token, picture in zip(tokens, pictures, strict=True):
        if token:
            np.testing.assert_array_equal(picture, draw(token, SMALL, size=size, drawing=drawing))


def test_unknown_drawings_are_refused():
    """With what there is."""
    for wrong in ({"drawing": "pretty"}, {"size": 20}):
        with pytest.raises(ValueError, match=r"there are published, legible, of size 16, 32, 64"):
            draw_tokens([b"a"], SMALL, **wrong)


def test_characters_collide_where_their_lines_in_the_font_do(font):
    """How many look alike is a claim of its own; here it is counted in the font's file, without drawing anything."""
    lines = dict(line.split(":") for line in default_font().read_text().splitlines())
    codes = range(0x3400)
    glyphs = [lines[f"{code:04X}"] for code in codes]
    centred = ["".join(f"0{g[i : i + 2]}0" for i in range(0, 32, 2)) if len(g) == 32 else g for g in glyphs]
    for code in (*range(0x20), *range(0x7F, 0xA0)):
        centred[code] = "0" * 64
    seen = Counter(picture.tobytes().hex().upper() for picture in draw_tokens([chr(c).encode() for c in codes], font))
    assert seen == Counter(centred) and seen["0" * 64] == 84
