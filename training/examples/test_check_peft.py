"""Which warnings check_peft.py makes errors of: table-driven, with the standard library only, so that CI can run it.

    python3 training/examples/test_check_peft.py
"""

import unittest
import warnings

import check_peft

# What is said, how, and by which module; whether it concerns the adapter.
CASES = [
    ("`torch_dtype` is deprecated! Use `dtype` instead!", FutureWarning, "transformers.modeling_utils", False),
    ("Accessing `__path__` from `.models.x` will be removed in v6", FutureWarning, "transformers", False),
    ("the `lora_bias` argument will be removed", FutureWarning, "peft.tuners.lora.config", False),
    ("distutils Version classes are deprecated", DeprecationWarning, "peft.import_utils", False),
    ("The NVIDIA driver on your system is too old", UserWarning, "torch.cuda", False),
    ("Found missing adapter keys while loading the checkpoint: ['base_model.x']", UserWarning, "peft.peft_model", True),
    ("Already found a `peft_config` attribute in the model", UserWarning, "peft.tuners.tuners_utils", True),
    ("overflow encountered in scale", RuntimeWarning, "peft.tuners.lora.layer", True),
    ("Some weights are ignored:\nunexpected keys lora_magnitude_vector", UserWarning, "transformers.integrations", True),
    ("Adapter default was active which is now deleted", UserWarning, "transformers", True),
    ("a peftish thing", UserWarning, "peftish", False),
]


class Strict(unittest.TestCase):
    def test_what_concerns_the_adapter_is_an_error_and_nothing_else(self):
        for message, category, module, is_error in CASES:
            with self.subTest(message), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check_peft.strict()
                say = lambda: warnings.warn_explicit(message, category, "x.py", 1, module=module)
                if is_error:
                    self.assertRaises(category, say)
                else:
                    say()


if __name__ == "__main__":
    unittest.main()
