"""Typical wrong answers of chapter 02, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "02.1": [
        ("return float(np.mean(np.abs(predicted - actual)))", "mean absolute error"),
        ("return float(np.mean((predicted - actual) ** 2))", "the root is missing"),
        ("return float(np.sqrt(np.sum((predicted - actual) ** 2)))", "the sum instead of the mean"),
        ("return float(np.mean(predicted - actual))", "must not cancel"),
    ],
    "02.2": [
        ("return user_bias[users] + item_bias[items]", "the mean is missing"),
        ("return mean + user_bias + item_bias[items[0]]", "returned the shape"),
        ("return mean + user_bias[items] + item_bias[users]", "expected the sum of the three"),
        (
            "return mean + user_bias[users[0]] + item_bias[items[0]] + 0 * users",
            "right for one pair",
        ),
    ],
    "02.3": [
        ("one_hot = np.eye(len(table))[indices]\nreturn one_hot @ table", "two things"),
        (
            "one_hot = np.eye(len(table))[indices - 1]\nreturn one_hot, one_hot @ table",
            "wrong column",
        ),
        (
            "one_hot = np.eye(len(table))[indices]\nreturn one_hot, one_hot @ (2 * table)",
            "not made of rows",
        ),
    ],
    "02.4": [
        ("return n_users * n_items * k", "multiplies users by items"),
        ("return (n_users + n_items) * k", "ignores `biases`"),
        ("return (n_users + n_items) * (k + biases)", "forgets the mean"),
    ],
    "02.5": [
        ("error = rating - p @ q\nreturn error * q, error * p", "opposite sign"),
        ("error = p @ q - rating\nreturn error * p, error * q", "swaps the two"),
        ("error = 2 * (p @ q - rating)\nreturn error * q, error * p", "twice too large"),
        ("error = np.sign(p @ q - rating)\nreturn error * q, error * p", "the error must scale it"),
    ],
    "02.6": [
        (
            "p = p - learning_rate * pair_gradient(p, q, rating)[0]\n"
            "q = q - learning_rate * pair_gradient(p, q, rating)[1]\nreturn p, q",
            "moved already",
        ),
        (
            "of_user, of_item = pair_gradient(p, q, rating)\n"
            "return p + learning_rate * of_user, q + learning_rate * of_item",
            "moved away",
        ),
        (
            "of_user, of_item = pair_gradient(p, q, rating)\nreturn p - of_user, q - of_item",
            "ignores the learning rate",
        ),
        (
            "of_user, of_item = pair_gradient(p, q, rating)\n"
            "p -= learning_rate * of_user\nq -= learning_rate * of_item\nreturn p, q",
            "in place",
        ),
    ],
    "02.7": [
        ("return int(np.argmin(errors)) + 1", "looks past the stop"),
        ("return int(np.argmin(errors))", "counted from 1"),
        (
            "for epoch in range(1, len(errors)):\n    if errors[epoch] > errors[epoch - 1]:\n"
            "        return epoch\nreturn len(errors)",
            "first epoch that is worse",
        ),
        (
            "best = 0\nfor epoch in range(1, len(errors)):\n    if errors[epoch] < errors[best]:\n        best = epoch\n"
            "    elif epoch - best >= patience:\n        return epoch + 1\nreturn best + 1",
            "training ends there",
        ),
    ],
    "02.8": [
        (
            "distance = np.linalg.norm(vectors - vectors[item], axis=1)\n"
            "order = np.argsort(distance)\nreturn order[order != item][:n]",
            "point almost the same way",
        ),
        (
            "cosine = vectors @ vectors[item] / np.linalg.norm(vectors, axis=1)\nreturn np.argsort(-cosine)[:n]",
            "the item itself",
        ),
        (
            "cosine = vectors @ vectors[item] / np.linalg.norm(vectors, axis=1)\n"
            "order = np.argsort(cosine)\nreturn order[order != item][:n]",
            "points the other way",
        ),
    ],
    "02.q1": [("choice = 'a'", "for the others it is zero"), ("choice = 'c'", "both have a slope")],
    "02.q2": [("choice = 'a'", "by heart"), ("choice = 'b'", "the test set has chosen")],
    "02.q3": [("choice = 'a'", "the model cannot know it"), ("choice = 'c'", "bring no new ones")],
}
