"""An encoding is told by marks and bytes, or is the user's to name; a wrong one is never taken in silence."""

from pathlib import Path

import pytest

from enct5.data.data_file import DataFile, ReadOptions
from enct5.data.encodings import detect
from enct5.data.reading import read_table
from enct5.errors import EncT5Error

# ruff: noqa: RUF001
GERMAN = "Die Tür klemmt, und der Schlüssel paßt nicht – schöne Grüße aus Köln"
WESTERN = {
    "German": GERMAN,
    "French": "La clé n'est pas arrivée à l'hôtel, « ça » suffit ; le cœur de l'été, où êtes-vous ?",
    "Spanish": "¿Dónde está la llave? El señor Núñez la perdió mañana, ¡qué ironía!",
    "Portuguese": "A chave não abre a porta; a recepção fica no salão, três opções, você, manhã, alemã",
    "Danish": "Nøglen går ikke ind i låsen, æblet på træet er rødt",
    "Swedish": "Nyckeln går inte in i låset, hälsningar från Åmål",
    "Italian": "La chiave è già lì, però non più così; perché?",
    "prices": "it costs 20 € – or £5, “cheap”, 30 m², 12 °C",
    "one word": "Lindenstraße",
}
OTHER = {
    "cp1250": "Klíč nepasuje do zámku, příští týden přijďte; kůň",
    "iso8859_2": "Klucz nie pasuje, proszę o zwrot pieniędzy i łódź",
    "cp1254": "Anahtar kapıya uymuyor, çalışmıyor, ağaç",
    "cp1251": "Ключ не подходит к двери",
    "koi8_r": "Ключ не подходит к двери",
    "cp1253": "Το κλειδί δεν ανοίγει την πόρτα",
    "shift_jis": "鍵が合いません。返金してください",
    "gb18030": "钥匙打不开门，请退款",
    "euc_kr": "열쇠가 맞지 않습니다",
    "cp850": GERMAN.replace("–", "-"),
    "mac_roman": GERMAN,
    "cp1255": "המפתח לא מתאים",
}
POLISH = "Klucz nie pasuje, proszę o zwrot pieniędzy, źle działa, jesteś"
HUNGARIAN = "A kulcs nem jó, kérem a pénzt, őszintén, idő, hűtő"
ROMANIAN = "Cheia nu se potrivește fără lumânare și mâncare, vă rog, măsură"


def write(folder: Path, text: str, encoding: str) -> Path:
    path = folder / "a.csv"
    path.write_bytes(f'text,label\n"{text}",a\n{text.replace(",", " ")},b\n'.encode(encoding))
    return path


@pytest.mark.parametrize("language", WESTERN)
def test_windows_1252_is_read_and_said(tmp_path: Path, language: str) -> None:
    path = write(tmp_path, WESTERN[language], "cp1252")
    assert read_table(str(path))["text"][0] == WESTERN[language]
    said = detect(DataFile(path).open, "a.csv").said
    assert said is not None
    assert said.startswith("Windows-1252 (`")


@pytest.mark.parametrize("codec", OTHER)
def test_what_is_not_certain_is_refused(tmp_path: Path, codec: str) -> None:
    """The message proposes encodings with what they give, and the option reads it."""
    path = write(tmp_path, OTHER[codec], codec)
    with pytest.raises(EncT5Error, match=r"a.csv is not UTF-8 \(byte 0x.. at offset \d+\); .*--encoding") as caught:
        read_table(str(path))
    if codec in ("cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030"):
        assert f"{codec} (`" in str(caught.value)
    assert read_table(str(path), ReadOptions(encoding=codec))["text"][0] == OTHER[codec]


@pytest.mark.parametrize(("text", "codec"), [(POLISH, "cp1250"), (HUNGARIAN, "cp1250"), (ROMANIAN, "iso8859_16")])
def test_languages_whose_letters_are_western_ones_there(tmp_path: Path, text: str, codec: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"text,label\n{text.replace(',', ' ')},a\n".encode(codec))
    with pytest.raises(EncT5Error, match="name its encoding"):
        read_table(str(path))


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_unicode_with_and_without_a_mark(tmp_path: Path, codec: str, name: str) -> None:
    text = (
        '{"text": "Tür 日本 🙂", "label": "a"}\n' if name == "a.jsonl" else '[{"text": "Tür 日本 🙂", "label": "a"}]\n'
    )
    if name == "a.csv":
        text = "text,label\nTür 日本 🙂,a\n"
    if codec.startswith("utf-16-") and name != "a.csv":
        text = text.replace("日本 🙂", "")
    (tmp_path / name).write_bytes(text.encode(codec))
    if (
        codec.startswith("utf-16-") and name == "a.csv"
    ):  # not every other byte is zero, so that it is UTF-16 is not seen
        text = text.replace("日本 🙂", "")
        (tmp_path / name).write_bytes(text.encode(codec))
    row = read_table(str(tmp_path / name))[0]
    assert row["label"] == "a"
    assert row["text"].startswith("Tür")


def test_utf8_with_a_fault_is_no_other_encoding(tmp_path: Path) -> None:
    """Nor is it read where the user says UTF-8."""
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nTür,a\n".encode() + b"T\xfcr,b\n")
    with pytest.raises(EncT5Error, match=r"not UTF-8 \(byte 0xfc at offset 19\), though most of it is; correct it"):
        read_table(str(path))
    with pytest.raises(EncT5Error, match=r"a.csv is not utf-8 \(byte 0xfc at offset 19\); correct it, or name another"):
        read_table(str(path), ReadOptions(encoding="UTF8"))


def test_a_file_that_is_cut_within_a_character(tmp_path: Path) -> None:
    for text, codec in (("text\nTür".encode()[:-2], None), ("text\nTür".encode("utf-16")[:-1], None)):
        (tmp_path / "a.csv").write_bytes(text)
        with pytest.raises(EncT5Error, match=r"a.csv is not (UTF-8|utf-16) \(byte 0x.. at offset \d+\)"):
            read_table(str(tmp_path / "a.csv"), ReadOptions(encoding=codec))


@pytest.mark.parametrize("name", ["utf-9", "", "hex", "rot13", "a\0b"])
def test_an_encoding_that_is_none(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "a", "utf-8")
    with pytest.raises(EncT5Error, match=r"no encoding `.*` \(--encoding\); such are utf-8"):
        read_table(str(path), ReadOptions(encoding=name))
