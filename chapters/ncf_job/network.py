"""The networks of neural collaborative filtering in Keras; chapter 05 builds them cell by cell."""

import keras


def two_inputs():
    return {side: keras.Input((), dtype="int32", name=side) for side in ("user", "item")}


def vectors(inputs, n_users, n_items, k, branch, decay):
    """Look up the vectors of one branch: (batch, k) for the users, and for the items."""
    found = []
    for side, rows in (("user", n_users), ("item", n_items)):
        start = keras.initializers.RandomNormal(stddev=0.01)
        pull = keras.regularizers.L2(decay / 2)
        name = f"{side}_{branch}"
        table = keras.layers.Embedding(rows, k, start, activity_regularizer=pull, name=name)
        found.append(table(inputs[side]))
    return found


def gmf(n_users, n_items, k, decay=0.0):
    inputs = two_inputs()
    product = keras.layers.Multiply()(vectors(inputs, n_users, n_items, k, "gmf", decay))
    chance = keras.layers.Dense(1, activation="sigmoid", name="chance")(product)
    return keras.Model(inputs, chance, name="gmf")


def tower(p, q):
    x = keras.layers.Concatenate()([p, q])
    for width in (64, 32, 16, 8):
        x = keras.layers.Dense(width, activation="relu")(x)
    return x


def mlp(n_users, n_items, k, decay=0.0):
    inputs = two_inputs()
    end = tower(*vectors(inputs, n_users, n_items, k, "mlp", decay))
    chance = keras.layers.Dense(1, activation="sigmoid", name="chance")(end)
    return keras.Model(inputs, chance, name="mlp")


def neumf(n_users, n_items, k, decay=0.0):
    inputs = two_inputs()
    product = keras.layers.Multiply()(vectors(inputs, n_users, n_items, k, "gmf", decay))
    end = tower(*vectors(inputs, n_users, n_items, k, "mlp", decay))
    both = keras.layers.Concatenate()([product, end])
    chance = keras.layers.Dense(1, activation="sigmoid", name="chance")(both)
    return keras.Model(inputs, chance, name="neumf")
