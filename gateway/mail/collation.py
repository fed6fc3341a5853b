"""Texts in the form in which they are compared and searched.

i;unicode-casemap, and for Thai the one order of marks that is left open by Unicode: people type a tone mark
before or behind the nikhahit of SARA AM, and see no difference.

Source: RFC 5051 §2, RFC 5255 §4.4 (I18NLEVEL=1); Unicode §3.11 (canonical ordering).
"""

import re
import unicodedata
from typing import Final

# U+0E4D nikhahit, U+0E48 to U+0E4B tone marks. SARA AM is decomposed into nikhahit and SARA AA.
_NIKHAHIT_FIRST: Final = re.compile("(\u0e4d)([\u0e48-\u0e4b])")
# What nobody sees: editors put U+200B between Thai words, and U+00AD where a line may break.
_UNSEEN: Final = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


def folded(text: str) -> str:
    """The same for texts that a person takes for the same."""
    if text.isascii():
        return text.casefold()
    text = text.translate(_UNSEEN)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return _NIKHAHIT_FIRST.sub(r"\2\1", folded)
