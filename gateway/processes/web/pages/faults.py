"""How a page says no: a status and one of the texts."""

from http import HTTPStatus


class PageFault(Exception):
    """A request that is not done. text: the name of one of `texts.TEXTS`; detail: more, in English."""

    def __init__(self, status: HTTPStatus, text: str, detail: str = "", **values: object) -> None:
        super().__init__(text)
        self.status, self.text, self.detail, self.values = status, text, detail, values


class NotSignedIn(Exception):
    """Who asks has to sign in first. text: why; "": it never was."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text
