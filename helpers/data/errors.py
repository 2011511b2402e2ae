"""What goes wrong with data, by name."""


class DataError(ValueError):
    """Data or an argument is not as expected; the message says where, what was found and what to do."""


class UnknownIdError(DataError, KeyError):
    """A raw user or item id does not occur in the data set."""

    def __str__(self) -> str:
        """Return the plain sentence (``KeyError`` would show it in quotation marks)."""
        return str(self.args[0]) if self.args else ""


class DataUnavailable(DataError):
    """A data set is in none of the places that were tried; nothing is wrong with the data itself."""
