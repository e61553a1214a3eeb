"""Which operators a TorchScript file calls, read from its source before anything of it runs.

TorchScript is code: it can write files (``torch.save``, ``torch.from_file``) and start threads,
and loading a file already runs its ``__setstate__``. What a network needs is arithmetic, so the
names below are allowed and all others refused. The archive is read as torch itself reads it.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from auditor.errors import ModelError

LARGEST_SOURCE = 20_000_000
"""Bytes of source that an archive may hold."""

_NAMES = """
Bool Complex Float FloatImplicit IfThenElse Int IntImplicit NumToTensor RaiseException
ScalarImplicit Size TupleIndex TupleUnpack Uninitialized abs absolute acos acosh
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
adaptive_max_pool3d add add_relu add_scalar add_scalar_relu addbmm addcdiv addcmul addmm addmv addr
adjoint affine_grid_generator alias all allclose amax amin aminmax angle any append arange arccos
arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_strided as_tensor
asin asinh atan atan2 atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d
baddbmm bartlett_window batch_norm batch_norm1d batch_norm1d_relu batch_norm2d batch_norm2d_relu
batch_norm3d batch_norm3d_relu batch_norm_relu bernoulli bilinear binary_cross_entropy_with_logits
bincount bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor
blackman_window block_diag bmm broadcast_shapes broadcast_tensors broadcast_to bucketize
cartesian_prod cat cat_relu cdist ceil celu chain_matmul chalf channel_shuffle chunk clamp
clamp_max clamp_min clear clip clone col2im column_stack complex concat concatenate conj
conj_physical constant_pad_nd contiguous conv1d conv1d_dynamic conv1d_prepack conv1d_relu
conv1d_unpack conv2d conv2d_add conv2d_add_relu conv2d_dilation conv2d_dynamic conv2d_groups
conv2d_output_padding conv2d_padding conv2d_prepack conv2d_relu conv2d_stride conv2d_transpose
conv2d_unpack conv2d_unpack_sizes conv3d conv3d_dilation conv3d_dynamic conv3d_groups
conv3d_output_padding conv3d_padding conv3d_prepack conv3d_relu conv3d_stride conv3d_transpose
conv3d_unpack conv_tbc conv_transpose1d conv_transpose1d_dynamic conv_transpose1d_prepack
conv_transpose1d_unpack conv_transpose2d conv_transpose2d_dilation conv_transpose2d_dynamic
conv_transpose2d_groups conv_transpose2d_output_padding conv_transpose2d_padding
conv_transpose2d_prepack conv_transpose2d_stride conv_transpose2d_transpose conv_transpose2d_unpack
conv_transpose3d conv_transpose3d_dilation conv_transpose3d_dynamic conv_transpose3d_groups
conv_transpose3d_output_padding conv_transpose3d_padding conv_transpose3d_prepack
conv_transpose3d_stride conv_transpose3d_transpose conv_transpose3d_unpack convolution copy
copysign corrcoef cos cosh cosine_similarity count count_nonzero cov cpu cross cummax cummin
cumprod cumsum cumulative_trapezoid data deg2rad dequantize det detach device diag diag_embed
diagflat diagonal diagonal_scatter diff dim dist div divide divmod dot dropout dsplit dstack dtype
einsum elu embedding embedding_bag empty empty_like endswith eq equal erf erfc erfinv exp exp2
expand expand_as expm1 extend eye fabs feature_alpha_dropout feature_dropout fft_fft2 fft_fftn
fft_fftshift fft_ifft2 fft_ifftn fft_irfft2 fft_rfft2 fill fill_diagonal find fix flatten flip
fliplr flipud float_power floor floor_divide floordiv fmax fmin fmod format frac frexp
frobenius_norm full full_like gather ge gelu ger get get_device glu grad greater greater_equal
grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gru_cell gt hamming_window hann_window
hardshrink hardsigmoid hardswish hardtanh heaviside histc histogram histogramdd hstack hypot i0
im2col imag index index_add index_copy index_fill index_put index_reduce index_select indices inner
insert instance_norm int_repr inverse is_autocast_cpu_enabled is_autocast_enabled is_complex
is_contiguous is_cpu is_cuda is_floating_point is_grad_enabled is_leaf is_meta is_mkldnn is_nested
is_nonzero is_quantized is_same_size is_scripting is_signed is_sparse is_xla isclose isfinite isin
isinf isnan isneginf isposinf isreal item items itemsize keys kron kthvalue layer_norm layout le
leaky_relu len lerp less less_equal lgamma lift_fresh linalg_inv linalg_matrix_norm linalg_norm
linalg_svd linalg_vector_norm linear linear_dynamic linear_dynamic_fp16
linear_dynamic_fp16_unpacked_weight linear_leaky_relu linear_prepack linear_prepack_fp16
linear_prepack_fp16_legacy linear_prepack_legacy linear_relu linear_relu_dynamic
linear_relu_dynamic_fp16 linear_tanh linear_unpack linear_unpack_fp16
linear_with_input_q_dq_qweight_dq_output_fp32 linear_with_input_q_dq_qweight_dq_relu_output_fp32
linspace list log log10 log1p log2 log_sigmoid log_sigmoid_forward log_softmax logaddexp logaddexp2
logcumsumexp logical_and logical_not logical_or logical_xor logit logspace logsumexp lower lstm
lstm_cell lt mH mT masked_fill masked_scatter masked_select matmul matrix_H matrix_exp matrix_power
max max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d
max_pool3d_with_indices max_unpool2d max_unpool3d maximum mean median meshgrid min minimum mish mm
mode moveaxis movedim msort mul mul_relu mul_scalar mul_scalar_relu multinomial multiply mv
nan_to_num nanmean nanmedian nanquantile nansum narrow native_batch_norm native_channel_shuffle
native_dropout native_group_norm native_layer_norm native_norm nbytes ne neg negative new_empty
new_full new_ones new_zeros nonzero nonzero_numpy norm norm_except_dim normal not_equal numel
numpy_T one_hot ones ones_like outer pad pad_sequence pairwise_distance permute pixel_shuffle
pixel_unshuffle poisson polar pop popitem positive pow prelu prod promote_types put quantile
quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic quantized_batch_norm
quantized_gru quantized_gru_cell quantized_lstm quantized_lstm_cell quantized_max_pool1d
quantized_max_pool2d quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell rad2deg
rand rand_like randint randint_like randn randn_like random randperm range rangelist ravel real
reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder remove renorm
repeat repeat_interleave replace replication_pad1d replication_pad2d replication_pad3d
requires_grad reshape reshape_as resolve_conj resolve_neg result_type reverse rms_norm rnn_relu
rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90 round row_stack rrelu rrelu_with_noise
rrelu_with_noise_functional rsqrt rsub scalar_tensor scaled_dot_product_attention scatter
scatter_add scatter_reduce searchsorted select select_scatter selu sgn sigmoid sign signbit silu
sin sinc sinh size slice slice_scatter smooth_l1_loss softmax softplus softshrink sort sorted
special_erf special_expit special_log_softmax special_softmax split split_with_sizes sqrt square
squeeze stack startswith std std_mean stft storage_offset str stride strip sub subtract sum
sum_to_size svd swapaxes swapdims t take take_along_dim tan tanh tensor tensor_split tensordot
threshold tile to to_dense tolist topk trace transpose trapezoid trapz tril tril_indices triu
triu_indices true_divide trunc type type_as unbind unchecked_cast unflatten unfold uniform
unique_consecutive unique_dim unique_dim_consecutive unsafe_chunk unsqueeze update upper
upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
upsample_nearest3d upsample_trilinear3d values vander var var_mean vdot view view_as
view_as_complex view_as_real vsplit vstack warn where xlogy zero zeros zeros_like __and__
__contains__ __derive_index __getitem__ __interpolate __is__ __isnot__ __lshift__ __not__ __or__
__range_length __round_to_zero_floordiv __rshift__ __upsample __xor__ _adaptive_avg_pool2d
_addmm_activation _batch_norm_impl_index _cast_Float _convolution _convolution_mode _fft_c2c
_fft_c2r _fft_r2c _log_softmax _native_batch_norm_legit _native_multi_head_attention _reshape_alias
_scaled_dot_product_attention_math _set_item _shape_as_tensor _softmax
_transformer_encoder_layer_fwd _trilinear _unique2 _unsafe_index _unsafe_view
_upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact2d _weight_norm
"""

ARITHMETIC = frozenset(_NAMES.split())
"""What a network computes with; a trailing ``_`` (the in-place form) is left off."""

_NAMESPACES = frozenset({"aten", "prim", "quantized"})
_ACTING = frozenset({"fork", "print", "rpc_async", "rpc_remote", "rpc_sync"})
_ENGINE = re.compile(rb"torch\.classes\.(\w+)")
_REMEDY = "Export the model to ONNX, or run with --trust-code if you trust its maker."

# torch leaves these without types.
_Reader: Any = torch._C.PyTorchFileReader
_schemas: Any = torch._C._jit_get_schemas_for_operator


def require_arithmetic(path: Path) -> None:
    """Raise ModelError where the archive's code calls more than `ARITHMETIC`; runs nothing."""
    try:
        reader = _Reader(str(path))
        records = list(reader.get_all_records())
        _require_plain_names(path, records)
        foreign: set[str] = set()
        size = 0
        for name in records:
            if not name.endswith((".py", ".pkl")):
                continue
            content = bytes(reader.get_record(name))
            classes = {found.decode() for found in _ENGINE.findall(content)} - {"quantized"}
            foreign |= {f"torch.classes.{found}" for found in classes}
            if name.endswith(".py"):
                size += len(content)
                if size > LARGEST_SOURCE:
                    raise ValueError(f"its source has more than {LARGEST_SOURCE:,} bytes")
                foreign |= set(foreign_operators(content.decode("ascii")))
    except (RuntimeError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"{path.name}: the TorchScript code in it cannot be read ({first}), so nothing of it "
            f"was run. {_REMEDY}"
        ) from error
    if foreign:
        shown = ", ".join(sorted(foreign)[:5]) + (", ..." if len(foreign) > 5 else "")
        raise ModelError(
            f"{path.name} calls {shown}, which is more than the arithmetic of a network; nothing "
            f"of it was run. {_REMEDY}"
        )


def _require_plain_names(path: Path, records: list[str]) -> None:
    # torch finds records whatever their case, and takes an old format from model.json.
    folded = Counter(name.casefold() for name in records)
    odd = [name for name, n in folded.items() if n > 1] + [n for n in folded if n == "model.json"]
    loud = [name for name in records if name.casefold().endswith(".py") and name[-3:] != ".py"]
    if odd or loud:
        raise ValueError(f"an unusual archive, holding {(odd + loud)[0][:80]!r}")


def foreign_operators(source: str) -> Iterator[str]:
    """Names of operators in TorchScript source that are not of `ARITHMETIC`.

    A name counts as an operator where torch has one of that name: a method of a module may be
    called as it likes. Raises SyntaxError for what is not Python's syntax.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        tree = ast.parse(source)
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield from _foreign_attribute(node, whole=id(node) not in inner)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = [node.func.id]
            if node.func.id in ("getattr", "__getattr__"):
                named += [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
            yield from (name for name in named if _is_foreign(name))
        elif isinstance(node, ast.Name) and node.id in _ACTING:
            yield node.id


def _foreign_attribute(node: ast.Attribute, *, whole: bool) -> Iterator[str]:
    path = [node.attr]
    at: ast.expr = node.value
    while isinstance(at, ast.Attribute):
        path.insert(0, at.attr)
        at = at.value
    root = at.id if isinstance(at, ast.Name) else ""
    if root == "__torch__":  # a class or function of the archive's own
        return
    if "ops" in (root, *path[:-1]) and whole:
        family = path[-2] if len(path) > 1 else ""
        if family not in _NAMESPACES or path[-1].rstrip("_") not in ARITHMETIC:
            yield f"{family}.{path[-1]}"
    elif _is_foreign(node.attr):
        yield node.attr


def _is_foreign(name: str) -> bool:
    known = name in _ACTING or bool(_schemas(f"aten::{name}"))
    return known and name not in ARITHMETIC and name.rstrip("_") not in ARITHMETIC
