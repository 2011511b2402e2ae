"""Losses of a user-level model, over all items or over a sample of them, in TensorFlow.

Every loss is a sum over a user's items, averaged over the users of a batch, so that one learning rate
suits them all. ``taken`` holds ones and zeros, ``scores`` logits, both (n_users, n_items).
"""

from __future__ import annotations

from typing import Any


def binary_cross_entropy(scores: Any, taken: Any) -> Any:
    """Multi-label loss: every item is a yes-or-no question of its own.

    Parameters
    ----------
    scores, taken : tensor of float32, (n_users, n_items)

    Returns
    -------
    tensor
        One number, in nats a user.
    """
    import tensorflow as tf

    n_users = tf.cast(tf.shape(scores)[0], tf.float32)

    @tf.custom_gradient  # type: ignore[misc, unused-ignore]
    def loss(logits: Any) -> Any:
        """Softplus(s) - s·y, with the slope sigmoid(s) - y: TensorFlow's own takes twice as long."""
        total = tf.reduce_sum(tf.nn.softplus(logits) - logits * taken)
        return total / n_users, lambda above: above * (tf.sigmoid(logits) - taken) / n_users

    return loss(tf.convert_to_tensor(scores))


def multinomial(scores: Any, taken: Any) -> Any:
    """Softmax loss: all items share one unit of probability, and every taken one is a draw from it.

    Parameters
    ----------
    scores, taken : tensor of float32, (n_users, n_items)

    Returns
    -------
    tensor
        One number, in nats a user.

    References
    ----------
    Liang et al. 2018, "Variational autoencoders for collaborative filtering".
    """
    import tensorflow as tf

    return -tf.reduce_mean(tf.reduce_sum(tf.nn.log_softmax(scores) * taken, axis=1))


def pairwise(scores: Any, row: Any, positive: Any, negative: Any) -> Any:
    """Ranking loss: a taken item should stand above one that was not taken.

    Parameters
    ----------
    scores : tensor of float32, (n_users, n_items)
    row, positive, negative : tensor of int, (n_pairs,)
        The user of each pair and both items.

    Returns
    -------
    tensor
        ``-log sigmoid(score of positive - score of negative)``, summed over a user's pairs.

    References
    ----------
    Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback".
    """
    import tensorflow as tf

    above = tf.gather_nd(scores, tf.stack([row, positive], axis=1))
    below = tf.gather_nd(scores, tf.stack([row, negative], axis=1))
    users = tf.cast(tf.shape(scores)[0], tf.float32)
    return tf.reduce_sum(tf.nn.softplus(below - above)) / users


def sampled_multinomial(
    hidden: Any,
    item_out: Any,
    item_bias: Any,
    row: Any,
    positive: Any,
    drawn: Any,
    log_expected: Any,
    drawn_is_taken: Any,
) -> Any:
    """Softmax loss whose sum over the catalog is estimated from a sample.

    The taken items of a user enter the sum exactly; the rest is estimated by the drawn ones, each
    divided by how often it is expected in the sample (`log_expected`). Leave that out (zeros), and items
    that are drawn often are pushed down too hard.

    Parameters
    ----------
    hidden : tensor of float32, (n_users, hidden)
    item_out, item_bias : tensor of float32, (n_items, hidden) and (n_items,)
    row, positive : tensor of int, (n_pairs,)
        Every taken item with its user's row in the batch.
    drawn : tensor of int, (n_drawn,)
        Sampled items, the same for all users of the batch; may repeat.
    log_expected : tensor of float32, (n_drawn,)
        ``log(n_drawn · q)`` of each, q its chance in one draw.
    drawn_is_taken : tensor of float32, (n_users, n_drawn)
        1 where a user took the drawn item: it is in the sum already.

    Returns
    -------
    tensor
        One number, in nats a user: an estimate of `multinomial`, exact as the sample grows.

    References
    ----------
    Bengio and Senécal 2003, "Quick training of probabilistic neural nets by importance sampling";
    Jean et al. 2015, "On using very large target vocabulary for neural machine translation".
    """
    import tensorflow as tf

    users = tf.shape(hidden)[0]
    of_taken = tf.reduce_sum(tf.gather(hidden, row) * tf.gather(item_out, positive), axis=1)
    of_taken += tf.gather(item_bias, positive)  # (n_pairs,)
    of_drawn = tf.matmul(hidden, tf.gather(item_out, drawn), transpose_b=True)
    of_drawn += tf.gather(item_bias, drawn) - log_expected - 1e9 * drawn_is_taken
    top = tf.stop_gradient(tf.reduce_max(of_drawn, axis=1))
    top = tf.maximum(top, tf.stop_gradient(tf.math.unsorted_segment_max(of_taken, row, users)))
    total = tf.reduce_sum(tf.exp(of_drawn - top[:, None]), axis=1)
    total += tf.math.unsorted_segment_sum(tf.exp(of_taken - tf.gather(top, row)), row, users)
    log_sum = tf.math.log(total) + top  # (n_users,)
    return -tf.reduce_sum(of_taken - tf.gather(log_sum, row)) / tf.cast(users, tf.float32)
