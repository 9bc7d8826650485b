"""What lies in the artefact ``encoder``."""

MODEL = "model"
# The linear map behind the model: the base's whitening, or the one that was trained from it.
WHITENING = "whitening.safetensors"
REFUSED = "refused"
PICTURES = "pictures"
# What texts were compared by in training, where it was not the cosine.
SIMILARITY = "similarity.safetensors"
# The figure that tells what the encoder gate compared texts by: SIDES, or the cosine of the whitened vectors.
JUDGED_BY = "judged_by"
SIDES, COSINE = "sides", "cosine"
