"""How long a run takes by the quotas, and how long it still takes by what was seen of it."""

# Fewer accounts say too little of the others.
LEAST_SHARE_DONE = 0.1


def duration(seconds: int) -> str:
    """Return for example `1 h 5 min`: the two largest units."""
    minutes, hours = seconds // 60, seconds // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def expected(least: int, most: int) -> str:
    """Return a time, or the range from where nothing differs to where everything does."""
    return duration(least) if least >= most else f"{duration(least)} to {duration(most)}"


def seconds_left(total: int, done: int, elapsed: float, least: float) -> int | None:
    """Return the time that a run still takes, if its other accounts are like those done.

    They are: the manifest is shuffled. The burst of the quotas lets the first ones seem faster than
    the `least` seconds that an account takes. None before a tenth of the accounts is done.
    """
    if done < total * LEAST_SHARE_DONE or not done:
        return None
    return round((total - done) * max(elapsed / done, least))
