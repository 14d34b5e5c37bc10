"""The console script: commands around character models, model files and the machine.

cli        arguments to commands, errors to exit codes; parser: what argparse lacks
train      ``rnnext train``; sample: ``rnnext sample``; bench: ``rnnext bench``
info       ``rnnext info``; selftest: ``rnnext selftest``; checks: of one process
inspect    ``rnnext inspect``; gates: their statistics
convert    ``rnnext convert``; verify: a model beside its converted self
modelfile  model files of all formats, read; state_dict: PyTorch's; tensors: safetensors
fit        a training from its text to its files; keeper: the best weights so far
trainer    the loop: truncated back-propagation through time with carried state
checkpoint everything that a training needs to go on; when it is written
model      the character model: recurrent layer, dropout, output layer
data       text, vocabulary, streams; baselines: unigram and bigram models
timing     of short calls; numpy_loop: what bench compares with
files      the model file; report: progress, samples, loss curve
output     tables and JSON; progress: bars
arguments  values of options; errors: told in one line; interrupt: Ctrl-C

Only NumPy is imported here; what the extra ``app`` installs is imported where it is
used.
"""
