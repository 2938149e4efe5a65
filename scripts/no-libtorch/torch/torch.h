// Found only where LibTorch's own torch/torch.h is not (see .cargo/config.toml). A header that is not there is the one
// mistake at which a compiler stops at once, so that its last words are what to do.
#include "LibTorch is not there. Run scripts/libtorch once (540 MB), or set LIBTORCH to a LibTorch 2.13.0, or build without the feature train."
