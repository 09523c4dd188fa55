"""What somebody asked for on a page and did not get."""


class Refusal(Exception):
    """Nothing was done. `code` is stable, `sentence` is for the person who asked."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence
