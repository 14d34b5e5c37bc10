"""The console script: a character-level language model, trained by rnnext.

cli        arguments to commands, errors to exit codes
train      ``rnnext train``; sample: ``rnnext sample``; bench: ``rnnext bench``
trainer    the loop: truncated back-propagation through time with carried state
model      recurrent layer and output layer; nn: output layer, loss and dropout
optim      Adam, clipping, learning-rate decay
data       text, vocabulary, streams; baselines: unigram and bigram models
timing     of short calls; numpy_loop: what bench compares with
files      the model file; report: progress, samples, loss curve
arguments  values of options; errors: told in one line; interrupt: Ctrl-C

Only NumPy is imported here; what the extra ``app`` installs is imported where it is
used.
"""
