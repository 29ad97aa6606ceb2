"""Posteriors of networks by stochastic-gradient Markov chains: samplers, step sizes, priors, and what a chain carries.

With N training images, log p(D | theta) = N times the mean over a batch of log p(label | views), whatever the
objective. Views are drawn anew at every step, so for a finite K the posterior is that of the objective's mean over
draws of K views. A chain targets exp(-U / T), U = -log p(D | theta) / L - log p(theta), at posterior temperature T and
likelihood temperature L: Wenzel et al. 2020 (arXiv:2002.02405) cool T, others L alone.

The transitions are written here, as noise has to be keyed for chains to resume bit for bit: libraries draw it from
torch's global generator.
"""
