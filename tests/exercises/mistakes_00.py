"""Typical wrong answers of chapter 00, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "00.1": [
        ("return n_ratings", "not the number of ratings"),
        ("return n_ratings / (n_users + n_items)", "more than 7 cells"),
        ("return 100 * n_ratings / (n_users * n_items)", "not a percentage"),
        ("density = n_ratings / n_users / n_items", "did you forget `return`"),
    ],
    "00.q1": [
        ('choice = "a"', "random corner"),
        ('choice = "b"', "white cells"),
        ('choice = "7"', "not one of"),
    ],
    "00.2": [
        ("return np.asarray(counts)[:top].sum() / np.sum(counts)", "in any order"),
        ("return np.sort(counts)[:top].sum() / np.sum(counts)", "smallest counts"),
        ("return np.sort(counts)[::-1][:top].sum()", "not their number"),
        ("counts.sort()\nreturn sum(counts[-top:]) / sum(counts)", "as they were"),
    ],
    "00.q2": [('choice = "b"', "not seen"), ('choice = "c"', "nearly nothing")],
    "00.3": [
        ("return np.median(stars)", "their median"),
        ("return (np.min(stars) + np.max(stars)) / 2", "two of three"),
        ("return 3.0", "smaller RMSE"),
    ],
    "00.4": [
        (
            "import pandas as pd\nreturn pd.Series(stars).groupby(users).mean().to_numpy()",
            "4 entries",
        ),
        (
            "return np.array([stars[users == u].mean() if (users == u).any() else 0 for u in range(n_users)])",
            "not 0",
        ),
        ("return np.bincount(users, weights=stars, minlength=n_users)", "5 and 3 stars"),
    ],
    "00.q3": [('choice = "a"', "0.7 stars"), ('choice = "c"', "says nothing")],
}
