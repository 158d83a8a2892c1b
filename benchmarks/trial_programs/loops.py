"""Polynomials, Collatz sequences and word counts; ``SLOWER=1`` makes one line run a fifth more often."""

import os

TURNS = 1200 if os.environ.get("SLOWER") == "1" else 1000


def polynomial(turns):
    total = 0
    for x in range(turns):
        total += (x * x + 3 * x + 7) % 11
    return total


def collatz(start):
    steps = 0
    while start != 1:
        start = start // 2 if start % 2 == 0 else 3 * start + 1
        steps += 1
    return steps


def words(text):
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])


def main():
    text = "the quick brown fox jumps over the lazy dog and the cat " * 60
    for number in range(6000):
        polynomial(TURNS)
        if number % 3 == 0:
            words(text)
        collatz(97 + number % 3000)
    print("done")


main()
