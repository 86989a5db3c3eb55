"""The MBConv and the convolution as data: their weights, shapes and costs.

This is the only description of these ops. The Keras layers of students, the packed weights of
supernets and the costs of a search are all made from it, so that they cannot disagree; tests
compare them with what Keras counts.
"""

import dataclasses
import math

from dna_tf.space import spaces

# In an int8 TFLite file: 4 for a bias, and for weight and bias a scale of 4 and a zero point of 8.
BYTES_OF_CHANNEL = 28
# Maps of one size that are held while an activation is computed. A convolution writes through
# ReLU6; swish takes a map, its gate, and their product.
_MAPS = {"swish": 3, "relu6": 1, "relu": 1}


@dataclasses.dataclass(frozen=True)
class ConvSpec:
    """A convolution of stem or head: no bias, then batch norm and activation.

    Args:
        kernel: side of the kernel.
        in_width: input channels.
        out_width: output channels.
        stride: stride in both directions.
        activation: of `spaces.ACTIVATIONS`.
        norm_epsilon: as in `spaces.Frame`.
        norm_momentum: as in `spaces.Frame`.
    """

    kernel: int
    in_width: int
    out_width: int
    stride: int
    activation: str
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9

    def weights(self):
        """Shapes of the trainable weights by name, in packing order."""
        return {
            "conv_kernel": (self.kernel, self.kernel, self.in_width, self.out_width),
            "bn_gamma": (self.out_width,),
            "bn_beta": (self.out_width,),
        }

    @property
    def params(self):
        """The number of trainable parameters."""
        return _num_params(self.weights())

    def macs(self, height, width):
        """Multiply-accumulates for an input of `height` x `width` pixels."""
        height, width = output_size(height, width, self.stride)
        return height * width * self.kernel**2 * self.in_width * self.out_width

    @property
    def int8_bytes(self):
        """Bytes of its weights in an int8 TFLite file, with what belongs to each channel."""
        return _int8_bytes(self.weights())

    def peak_elements(self, height, width):
        """The most entries of maps that are held at one time: those read and those written."""
        out = math.prod(output_size(height, width, self.stride)) * self.out_width
        return max(height * width * self.in_width + out, _MAPS[self.activation] * out)

    def authors_flops(self, height, width):
        """FLOPs as the DNA authors count them: MACs, and two per input of batch norm."""
        out = math.prod(output_size(height, width, self.stride)) * self.out_width
        return self.macs(height, width) + 2 * out


@dataclasses.dataclass(frozen=True)
class MBConvSpec:
    """A mobile inverted bottleneck with squeeze-and-excitation (SE).

    1x1 convolution to `in_width * expand`, batch norm, activation; depthwise
    convolution with the stride, batch norm, activation; SE; 1x1 convolution to
    `out_width`, batch norm; the input is added if the shapes are equal. With
    `expand == 1` the first convolution is left out. Only SE has biases.

    Args:
        kernel: side of the depthwise kernel.
        expand: expansion rate.
        in_width: input channels.
        out_width: output channels.
        stride: stride of the depthwise convolution.
        activation: of `spaces.ACTIVATIONS`.
        se_ratio: width of SE over `in_width` (not over the expanded width); 0 without SE.
        norm_epsilon: as in `spaces.Frame`.
        norm_momentum: as in `spaces.Frame`.

    Source: DNA 4.1 and the authors' code.
    """

    kernel: int
    expand: int
    in_width: int
    out_width: int
    stride: int
    activation: str = "swish"
    se_ratio: float = 0.25
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9

    @property
    def expanded_width(self):
        """Channels of the depthwise convolution."""
        return self.in_width * self.expand

    @property
    def se_width(self):
        """Channels inside SE; 0 without SE."""
        return max(1, int(self.in_width * self.se_ratio)) if self.se_ratio else 0

    @property
    def has_residual(self):
        """Whether the input is added to the output."""
        return self.stride == 1 and self.in_width == self.out_width

    def weights(self):
        """Shapes of the trainable weights by name, in packing order."""
        mid, shapes = self.expanded_width, {}
        if self.expand > 1:
            shapes["expand_conv_kernel"] = (1, 1, self.in_width, mid)
            shapes["expand_bn_gamma"] = (mid,)
            shapes["expand_bn_beta"] = (mid,)
        shapes["dw_conv_kernel"] = (self.kernel, self.kernel, mid, 1)
        shapes["dw_bn_gamma"] = (mid,)
        shapes["dw_bn_beta"] = (mid,)
        if self.se_width:
            shapes["se_reduce_kernel"] = (1, 1, mid, self.se_width)
            shapes["se_reduce_bias"] = (self.se_width,)
            shapes["se_expand_kernel"] = (1, 1, self.se_width, mid)
            shapes["se_expand_bias"] = (mid,)
        shapes["project_conv_kernel"] = (1, 1, mid, self.out_width)
        shapes["project_bn_gamma"] = (self.out_width,)
        shapes["project_bn_beta"] = (self.out_width,)
        return shapes

    @property
    def params(self):
        """The number of trainable parameters."""
        return _num_params(self.weights())

    def macs(self, height, width):
        """Multiply-accumulates of the convolutions, SE included, for an input of these pixels."""
        mid = self.expanded_width
        out = math.prod(output_size(height, width, self.stride))
        total = height * width * self.in_width * mid if self.expand > 1 else 0
        total += out * mid * self.kernel**2
        total += 2 * mid * self.se_width
        return total + out * mid * self.out_width

    @property
    def int8_bytes(self):
        """Bytes of its weights in an int8 TFLite file, with what belongs to each channel."""
        return _int8_bytes(self.weights())

    def peak_elements(self, height, width):
        """The most entries of maps that are held at one time, for an input of these pixels.

        A step holds what it reads and what it writes, and besides the input of the layer as long
        as a residual waits for it. Batch norm is part of its convolution.
        """
        read = height * width * self.in_width
        expanded = height * width * self.expanded_width
        size = math.prod(output_size(height, width, self.stride))
        inner, out = size * self.expanded_width, size * self.out_width
        kept = read if self.has_residual else 0
        gates = _MAPS[self.activation]
        if self.expand > 1:
            steps = [read + expanded, kept + gates * expanded, kept + expanded + inner]
        else:
            steps = [expanded + inner]  # it reads what is kept
        steps += [kept + gates * inner, kept + inner + out]
        if self.se_width:
            steps.append(kept + 2 * inner + self.expanded_width)  # the product with the gate
        if self.has_residual:
            steps.append(3 * out)
        return max(steps)

    def authors_flops(self, height, width):
        """FLOPs as the DNA authors count them.

        MACs, one more per output of a convolution with bias (those of SE), and two
        per input element of each batch norm; nothing for activations and SE's mean.
        """
        mid = self.expanded_width
        out = math.prod(output_size(height, width, self.stride))
        total = self.macs(height, width)
        total += 2 * height * width * mid if self.expand > 1 else 0
        total += 2 * out * mid + 2 * out * self.out_width
        return total + (self.se_width + mid if self.se_width else 0)


@dataclasses.dataclass(frozen=True)
class FusedMBConvSpec(MBConvSpec):
    """An MBConv whose first two convolutions are one: a k x k convolution that expands.

    k x k convolution with the stride to `in_width * expand`, batch norm, activation; SE; 1x1
    convolution to `out_width`, batch norm; the input is added if the shapes are equal. The
    arguments are those of `MBConvSpec`; `expand` is at least 2.

    Source: EfficientNetV2 (Tan and Le, 2021).
    """

    def weights(self):
        """Shapes of the trainable weights by name, in packing order."""
        size, mid = (self.kernel, self.kernel), self.expanded_width
        shapes = super().weights()
        shapes["expand_conv_kernel"] = (*size, self.in_width, mid)
        return {name: shape for name, shape in shapes.items() if not name.startswith("dw_")}

    def macs(self, height, width):
        """Multiply-accumulates of the convolutions, SE included, for an input of these pixels."""
        mid, out = self.expanded_width, math.prod(output_size(height, width, self.stride))
        total = out * self.kernel**2 * self.in_width * mid + 2 * mid * self.se_width
        return total + out * mid * self.out_width

    def peak_elements(self, height, width):
        """As of `MBConvSpec`."""
        read = height * width * self.in_width
        size = math.prod(output_size(height, width, self.stride))
        inner, out = size * self.expanded_width, size * self.out_width
        kept = read if self.has_residual else 0
        steps = [read + inner, kept + _MAPS[self.activation] * inner, kept + inner + out]
        if self.se_width:
            steps.append(kept + 2 * inner + self.expanded_width)
        if self.has_residual:
            steps.append(3 * out)
        return max(steps)

    def authors_flops(self, height, width):
        """FLOPs as the DNA authors count them: as of `MBConvSpec`."""
        mid, out = self.expanded_width, math.prod(output_size(height, width, self.stride))
        total = self.macs(height, width) + 2 * out * mid + 2 * out * self.out_width
        return total + (self.se_width + mid if self.se_width else 0)


# What computes an op of each kind.
_SPECS = {"mb": MBConvSpec, "fused": FusedMBConvSpec}
_OWN_SE = {"mb": None, "fused": 0.0}  # ratio of SE where an op has none; `None` is the frame's


def kind_of(spec):
    """The kind of op, of `spaces.KINDS`, that a spec of a layer computes."""
    return next(kind for kind, of_kind in _SPECS.items() if type(spec) is of_kind)


def spec_class(kind):
    """The class of the specs of a kind of op."""
    return _SPECS[kind]


def output_size(height, width, stride):
    """Height and width after a "same" convolution with `stride`."""
    return -(-height // stride), -(-width // stride)


def _int8_bytes(shapes):
    total = 0
    for name, shape in shapes.items():
        if name.endswith("kernel"):
            # A depthwise kernel is (k, k, channels, 1).
            channels = shape[2] if name.startswith("dw") else shape[3]
            total += int8_kernel_bytes(math.prod(shape), channels)
    return total


def int8_kernel_bytes(entries, channels):
    """Bytes of a kernel in an int8 TFLite file.

    Args:
        entries: of the kernel; each is a byte.
        channels: that it writes. Each has a bias, and scales and zero points of both.
    """
    return entries + BYTES_OF_CHANNEL * channels


def _num_params(shapes):
    return sum(math.prod(shape) for shape in shapes.values())


def stem_specs(frame, channels):
    """The layers of a stem: its convolution and its MBConvs without expansion.

    Args:
        frame: a `spaces.Frame`.
        channels: channels of the image.

    Returns:
        A list: a `ConvSpec`, then one `MBConvSpec` for each of `stem_layers`.
    """
    norm = (frame.norm_epsilon, frame.norm_momentum)
    conv = ConvSpec(3, channels, frame.stem_width, frame.stem_stride, frame.activation, *norm)
    ops = [spaces.Op(3, 1)] * frame.stem_layers
    widths = [frame.stem_output_width] * frame.stem_layers
    return [conv, *layer_specs(frame, ops, frame.stem_width, widths, stride=1)]


def layer_specs(frame, ops, in_width, out_widths, stride):
    """The specs of a chain of layers.

    Args:
        frame: a `spaces.Frame`.
        ops: one `spaces.Op` per layer.
        in_width: channels that the first layer reads.
        out_widths: output channels, one per layer.
        stride: stride of the first layer; the others have 1.

    Returns:
        A list of `MBConvSpec` and `FusedMBConvSpec`, one per layer.
    """
    specs = []
    for op, out_width in zip(ops, out_widths, strict=True):
        se_ratio = _OWN_SE[op.kind] if op.se_ratio is None else op.se_ratio
        specs.append(
            _SPECS[op.kind](
                op.kernel,
                op.expand,
                in_width,
                out_width,
                stride,
                frame.activation,
                frame.se_ratio if se_ratio is None else se_ratio,
                frame.norm_epsilon,
                frame.norm_momentum,
            )
        )
        in_width, stride = out_width, 1
    return specs


def head_spec(frame, in_width):
    """The 1x1 convolution of the head."""
    norm = (frame.norm_epsilon, frame.norm_momentum)
    return ConvSpec(1, in_width, frame.head_width, 1, frame.activation, *norm)
