"""Comments, found in the docstrings of generated code."""

from __future__ import annotations

from fixtures.gen.catalog.v1.book_pb import Book, Genre
from fixtures.gen.fixture.names.v1.names_pb import Keywords, Outer
from fixtures.gen.fixture.prose.v1.prose_errors import No, Old
from fixtures.gen.fixture.prose.v1.prose_kratos import OldProseService, ProseService
from fixtures.gen.fixture.right.v1.common_errors import ERRORS

from kratos.codec.messages import shape
from kratos.openapi.comments import base_of, of_enum, of_error, of_message, of_method, of_service, split


def test_of_a_message() -> None:
    """A message has its own comment and those of its fields; a oneof has one for all of its members."""
    found = of_message(Book)
    assert found.text == "A book.\n\nHas a *title*, and at least one author."
    assert found.members == {
        "id": "Chosen by the caller.",
        "title": "As on the cover.",
        "price": "In cents.",
        "added": "When it came in.",
        "secret": "Who may see it.",
        "rating": "How good it is.",
        "source": "Where to get it.",
    }


def test_of_an_enum() -> None:
    """Values go by the names that they have in the proto."""
    enum = shape(Book).named["genre"].enum
    assert enum is not None
    assert enum.type is Genre
    assert of_enum(enum).members == {"GENRE_FICTION": "Made up.", "GENRE_HISTORY": "Has happened."}


def test_names_that_python_keeps() -> None:
    """Declarations without comments have none, whatever Python calls them."""
    assert of_message(Keywords).text == "Every Python keyword as a field."
    assert of_message(Keywords).members == {}
    assert of_message(Outer).text == "Found inside of others."


def test_without_docstrings() -> None:
    """Where Python has dropped them, there are no comments, and no failure."""
    bare = type("Bare", (), {"desc": Book.desc, "__doc__": None})
    assert of_message(bare) == of_message(bare)
    assert (of_message(bare).text, of_message(bare).members) == ("", {})


def test_of_a_service() -> None:
    """A service has the comment of the contract, not that of the class which implements it."""

    class Mine(ProseService):
        """Mine."""

    assert base_of(Mine) is ProseService
    assert of_service(base_of(Mine)).startswith("A service with a lot to say")
    assert of_service(OldProseService) == "Is not used any more.\n\nDeprecated."


def test_of_methods() -> None:
    """Directives to tools are no comments, and what is deprecated says so elsewhere."""
    known = {operation.method: (name, operation) for name, operation in ProseService.__operations__}
    assert of_method(ProseService, *known["Quoted"]) == '"Starts with a quote, and ends with a quote"'
    assert of_method(ProseService, *known["Directed"]) == ""
    assert of_method(ProseService, *known["Silent"]) == ""
    assert of_method(ProseService, *known["Old"]) == "Was good once."
    assert of_method(ProseService, *known["Older"]) == ""


def test_of_errors() -> None:
    """An error has the comment of its enum value; what the generator writes instead of one does not count."""
    assert of_error(No) == 'Says "no".'
    assert of_error(Old).startswith("Said behind.")
    assert {of_error(cls) for cls in ERRORS if cls.__doc__ == f"{cls.code}: {cls.reason}."} <= {""}


def test_split() -> None:
    """The first sentence is the summary, unless it is none that a list can show."""
    assert split("") == ("", "")
    assert split("Greets") == ("Greets", "")
    assert split("Greets\nand leaves.") == ("Greets and leaves", "")
    assert split("Greets v1.2 users. Twice.") == ("Greets v1.2 users", "Greets v1.2 users. Twice.")
    assert split("Greets!\n\nMore.") == ("Greets!", "Greets!\n\nMore.")
    long = "word " * 40
    assert split(long) == ("", long)
