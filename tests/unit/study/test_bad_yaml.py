"""Files of settings that are no YAML, or not the YAML that settings are: one line with the file's."""

import os

import pytest
from broken_input import refusal

from fedscape.errors import FedscapeError
from fedscape.study.files import parsed_yaml, read_yaml

ALLOWED = (
    "allowed: text (in quotes where it looks like something else), numbers, true, false, null, lists, maps"
)
NO_YAML = {
    "no end of a list": ("a: 1\nb: [1, 2\n", "f.yaml:3: expected ',' or ']'"),
    "no end of a text": ('a: "b\n', "f.yaml:2: found unexpected end of stream"),
    "a tab": ("a:\n\t- 1\n", "f.yaml:2: found character '\\t' that cannot start any token"),
    "two documents": ("a: 1\n---\nb: 2\n", "f.yaml:2: but found another document"),
    "an unknown alias": ("a: *b\n", "f.yaml:1: found undefined alias 'b'"),
    "a key without a colon": ("a: 1\nb\n", "f.yaml:3: could not find expected ':'"),
    "an unknown escape": ('a: "\\q"\n', "f.yaml:1: found unknown escape character 'q'"),
    "another version of YAML": ("%YAML 3.0\n---\na: 1\n", "f.yaml:1: found incompatible YAML document"),
    "a control character": ("a: \0\n", "f.yaml: no YAML text (unacceptable character #x0000"),
    "nothing": ("", "f.yaml: expected keys and values, got nothing"),
    "a list": ("- 1\n", "f.yaml: expected keys and values, got list"),
    "one word": ("pilot\n", "f.yaml: expected keys and values, got str"),
    "lists in lists": (
        "a: " + "[" * 5000,
        "f.yaml:1: values within values within values, more than 100 deep",
    ),
    "maps in maps": (
        "a: " + "{a: " * 5000,
        "f.yaml:1: values within values within values, more than 100 deep",
    ),
}
NO_SETTINGS = {
    "a date": ("a: 2026-01-31\n", f"f.yaml:1: '2026-01-31' is not allowed as timestamp; {ALLOWED}"),
    "a date that is none": ("a: 2026-13-45\n", "f.yaml:1: '2026-13-45' is not allowed as timestamp"),
    "an empty hexadecimal": ("a: 0x_\n", "f.yaml:1: '0x_' is not allowed as int"),
    "a number beyond 64 bits": ("a: 1\nb: 9223372036854775808\n", "f.yaml:2: '9223372036854775808' is not allowed as int"),
    "a number of 5,000 digits": (f"a: {'9' * 5000}\n", f"f.yaml:1: '{'9' * 40}' is not allowed as int"),
    "text called a number": ("a: !!int many\n", "f.yaml:1: 'many' is not allowed as int"),
    "text called a truth": ("a: !!bool perhaps\n", "f.yaml:1: 'perhaps' is not allowed as bool"),
    "text called a time": ("a: !!timestamp soon\n", "f.yaml:1: 'soon' is not allowed as timestamp"),
    "a list called a map": ("a: !!map [1]\n", "f.yaml:1: expected a mapping node"),
    "bytes": ("a: !!binary YWJj\n", "f.yaml:1: 'YWJj' is not allowed as binary"),
    "a set": ("a: !!set {b}\n", "f.yaml:1: this is not allowed as set"),
    "pairs": ("a: !!pairs [b: 1]\n", "f.yaml:1: this is not allowed as pairs"),
    "half a character": ('a: "\\ud800"\n', "f.yaml:1: '\\ud800' is not allowed as str"),
    "the character zero": ('a: "b\\0"\n', "f.yaml:1: 'b\\x00' is not allowed as str"),
    "no finite number": ("a: .inf\n", "f.yaml:1: .inf is no finite number"),
    "a tag of one's own": ("a: !mine 3\n", "f.yaml:1: could not determine a constructor for the tag '!mine'"),
    "a truth for a key": ("on: 1\n", "f.yaml:1: a key must be text; put on in quotes"),
    "nothing for a key": ("a:\n  ~: 1\n", "f.yaml:2: a key must be text; put ~ in quotes"),
    "a number for a key": ("1: 1\n", "f.yaml:1: a key must be text; put 1 in quotes"),
    "a map for a key": ("? {a: 1}\n: 2\n", "f.yaml:1: a key must be text"),
    "a key twice": ("a: 1\na: 1\n", "f.yaml:2: key 'a' stands twice"),
    "a merge of no map": ("<<: 5\n", "f.yaml:1: expected a mapping or list of mappings for merging"),
    "a list in itself": ("a: &a [*a]\n", "f.yaml:1: an alias (*name) holds itself"),
    "a map in itself": ("a: &a {b: *a}\n", "f.yaml:1: an alias (*name) holds itself"),
    "lists of lists of lists": (
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"{x}: &{x} [{', '.join([f'*{y}'] * 10)}]\n" for x, y in zip("bcdefgh", "abcdefg", strict=True)),
        "f.yaml:5: more than 100000 values, with aliases (*name) written out",
    ),
    "merges of merges of merges": (
        "a: &a {x: 1}\n" + "".join(f"k{n}: &k{n} {{<<: [{', '.join([f'*k{n - 1}' if n else '*a'] * 10)}]}}\n" for n in range(8)),
        "more than 100000 values, with aliases (*name) written out",
    ),
    "a map merged a million times": (
        f"a: &a {{{', '.join(f'x{n}: 1' for n in range(1000))}}}\nb: {{<<: [{', '.join(['*a'] * 1000)}]}}\n",
        "f.yaml:2: more than 100000 values, with aliases (*name) written out",
    ),
    "a million values": (f"a: [{'1,' * 199_000}]\n", "f.yaml:1: more than 100000 values"),
    "aliases in aliases in aliases": (
        "a0: &a0 []\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(5000)),
        "f.yaml:101: values within values within values, more than 100 deep",
    ),
    "too much text": ("# " + "x" * 400_000, "f.yaml: cannot be read (larger than 400,000 bytes)"),
    "an escape sequence of a terminal": ('a: "\\e[2J"\n', "f.yaml:1: '\\x1b[2J' is not allowed as str"),
    "a number of base 8": ("a: 010\n", "f.yaml:1: '010' is read as 8; write that, or put it in quotes if it is text"),
    "a number of base 60": ("a: 1:30\n", "f.yaml:1: '1:30' is read as 90; write that, "),
    "a fraction of base 60": ("a: 1:30.5\n", "f.yaml:1: '1:30.5' is read as 90.5; write that, "),
    "a number with gaps": ("a: 1_0\n", "f.yaml:1: '1_0' is read as 10; write that, "),
    "a fraction with gaps": ("a: 1_0.5\n", "f.yaml:1: '1_0.5' is read as 10.5; write that, "),
    "a number of base 16": ("a: 0x1F\n", "f.yaml:1: '0x1F' is read as 31; write that, "),
    "a number of base 2": ("a: -0b11\n", "f.yaml:1: '-0b11' is read as -3; write that, "),
    "a name that is a truth": ("datasets: [on]\n", "f.yaml:1: 'on' is read as true; write that, or put it in quotes if it is text"),
    "no for false": ("a: No\n", "f.yaml:1: 'No' is read as false; write that, "),
    "such a key": ("010: 1\n", "f.yaml:1: a key must be text; put 010 in quotes"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_YAML | NO_SETTINGS)
def test_the_line_is_named(tmp_path, monkeypatch, case):
    text, message = (NO_YAML | NO_SETTINGS)[case]
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "f.yaml"
    file.write_text(text, newline="")
    assert message in refusal(read_yaml, file)


def test_files_that_cannot_be_read_are_named(tmp_path):
    assert refusal(read_yaml, tmp_path / "f.yaml") == f"{tmp_path}/f.yaml: no such file"
    (tmp_path / "f.yaml").symlink_to("nowhere")
    assert refusal(read_yaml, tmp_path / "f.yaml") == f"{tmp_path}/f.yaml: no such file"
    assert refusal(read_yaml, tmp_path) == f"{tmp_path}: cannot be read (Is a directory)"
    (tmp_path / "g.yaml").write_bytes(b"a: \xff\n")
    assert "g.yaml: no YAML text in UTF-8" in refusal(read_yaml, tmp_path / "g.yaml")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "f.yaml")
    assert refusal(read_yaml, tmp_path / "f.yaml") == f"{tmp_path}/f.yaml: cannot be read (no regular file)"
    (tmp_path / "g.yaml").symlink_to("/dev/zero")
    assert refusal(read_yaml, tmp_path / "g.yaml") == f"{tmp_path}/g.yaml: cannot be read (no regular file)"
    (tmp_path / "h.yaml").symlink_to("h.yaml")
    said = refusal(read_yaml, tmp_path / "h.yaml")
    assert said == f"{tmp_path}/h.yaml: cannot be read (Too many levels of symbolic links)"
    assert "(File name too long)" in refusal(read_yaml, tmp_path / ("a" * 300))


def test_a_key_beside_a_merge_wins_wherever_its_map_is_used():
    text = "a: &a {k: 1, l: 2}\nx: {y: &b {<<: *a, k: 3}}\nc: {<<: *b}\n"
    assert parsed_yaml(text, "here")["c"] == {"k": 3, "l": 2}


def test_what_settings_may_be(tmp_path):
    text = "a: {b: [1, -2.5, 1.0e+3, true, null, text, '2026-01-31', '010', 'on']}\nc: &c {d: 9223372036854775807}\ne: {<<: *c}\n"
    wanted = {"d": 2**63 - 1}
    assert parsed_yaml(text, "here") == {
        "a": {"b": [1, -2.5, 1000.0, True, None, "text", "2026-01-31", "010", "on"]}, "c": wanted, "e": wanted,
    }  # fmt: skip


def test_a_message_is_one_line_whatever_it_quotes():
    assert str(FedscapeError("no 'a\nb\r\x1b[31m\u2028c'")) == "no 'a\\nb\\r\\x1b[31m\\u2028c'"
    assert str(FedscapeError("ü is a letter")) == "ü is a letter"
    long = str(FedscapeError(f"a.csv: '{'x' * 200_000}' is no number; delete it"))
    assert len(long) < 1500 and long.startswith("a.csv: 'xx") and long.endswith("xx' is no number; delete it")
