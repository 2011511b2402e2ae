"""Typical wrong answers of chapter 08, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "08.q1": [
        ('choice = "a"', "somebody would have to write it"),
        ('choice = "c"', "Numbers are names"),
    ],
    "08.1": [
        ("return [word[i : i + 3] for i in range(len(word) - 2)]", "only the word itself"),
        (
            'marked = "#" + word + "#"\nreturn [marked[i : i + 3] for i in range(len(marked))]',
            "three characters",
        ),
        (
            'marked = "#" + word + "#"\nreturn [marked[i : i + 3] for i in range(len(marked) - 3)]',
            "last one missing",
        ),
        (
            'marked = "#" + word + "#"\nreturn [marked[i : i + 3] for i in range(len(marked) - 2)]',
            "capitals",
        ),
        (
            'marked = "#" + word.lower() + "#"\nreturn sorted({marked[i : i + 3] for i in range(len(marked) - 2)})',
            "must keep both",
        ),
    ],
    "08.2": [
        ("return a @ b / np.sqrt((a @ a) * (b @ b))", "must be small"),
        ("return 1 - a @ b", "divide that by both lengths"),
        ("return 1 - a @ b / ((a @ a) * (b @ b))", "squares of the lengths"),
    ],
    "08.q2": [('choice = "a"', "minimum look like"), ('choice = "b"', "share their weights")],
    "08.3": [
        ("return -b / (np.linalg.norm(a) * np.linalg.norm(b))", "moves as well"),
        (
            "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\nreturn (u @ v) * u - v",
            "once more",
        ),
        (
            "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\nreturn (v - (u @ v) * u) / np.linalg.norm(a)",
            "downhill",
        ),
        ("return a / np.linalg.norm(a) - b / np.linalg.norm(b)", "right angle"),
    ],
    "08.4": [
        ("return (np.asarray(candidates) @ np.asarray(taken).T).sum(axis=1)", "with the *mean*"),
        ("return (np.asarray(candidates) @ np.asarray(taken).T).max(axis=1)", "best match only"),
        ("return np.asarray(candidates) @ np.asarray(taken).T", "expected (4,)"),
    ],
    "08.5": [
        (
            "z = scores - np.max(scores, axis=1, keepdims=True)\n"
            "return -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))",
            "where does it use `log_q`",
        ),
        (
            "z = scores + np.asarray(log_q)\nz = z - z.max(axis=1, keepdims=True)\n"
            "return -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))",
            "*adds* log Q",
        ),
        (
            "z = scores - np.asarray(log_q)\nreturn -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))",
            "overflow",
        ),
        (
            "z = scores - np.asarray(log_q)\nz = z - z.max(axis=1, keepdims=True)\n"
            "return np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))",
            "*minus* the log",
        ),
    ],
    "08.q3": [('choice = "b"', "knows the year"), ('choice = "c"', "belong to the user")],
}
