"""A competition of kernels: untrusted submissions, one clock, one ranking.

`pack` is a problem, `judge` turns a submission into a verdict and samples, `inside` is what runs in the
box beside the submission, `store` keeps everything, `standings` ranks. Who judges never runs a
submission's code in its own process.
"""
