"""A quiz question as radio buttons, with the same words as text where there are no widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .messages import Message, Outcome, with_code

if TYPE_CHECKING:
    from .api import Quiz


def _plain(quiz: Quiz, result: Message) -> str:
    lines = [
        quiz.question,
        *(f"  {letter}) {text}" for letter, text in quiz.options.items()),
        repr(result),
    ]
    return "\n".join(lines)


def _static(quiz: Quiz, result: Message) -> str:
    items = "".join(
        f"<li>{letter}) {with_code(text)}</li>" for letter, text in quiz.options.items()
    )
    question = with_code(quiz.question)
    return f'<p><strong>{question}</strong></p><ul style="list-style:none">{items}</ul>{result._repr_html_()}'


def show_quiz(quiz: Quiz, choice: Any = None) -> None:
    """Display a quiz: live buttons in Jupyter, text and HTML elsewhere.

    Parameters
    ----------
    quiz : Quiz
        The question.
    choice : str, optional
        A letter chosen in code; it is checked and preselected.
    """
    import ipywidgets as widgets
    from IPython.display import display

    result = quiz.check(choice)
    valid = (
        result.outcome in (Outcome.PASS, Outcome.FAIL)
        and str(choice).strip().lower() in quiz.options
    )
    buttons = widgets.RadioButtons(  # their labels are text and nothing else
        options=[
            (f"{letter}) {text.replace('`', '')}", letter) for letter, text in quiz.options.items()
        ],
        value=str(choice).strip().lower() if valid else None,
        layout=widgets.Layout(width="auto"),
        style={"description_width": "initial"},
    )
    feedback = widgets.HTML(value=result._repr_html_())

    def on_choice(change: dict[str, Any]) -> None:
        feedback.value = quiz.check(change["new"])._repr_html_()

    buttons.observe(on_choice, "value")
    question = widgets.HTML(value=f"<strong>{with_code(quiz.question)}</strong>")
    box = widgets.VBox([question, buttons, feedback])
    display(
        {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": box.model_id,
            },
            "text/html": _static(quiz, result),
            "text/plain": _plain(quiz, result),
        },
        raw=True,
    )
