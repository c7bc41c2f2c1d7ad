//! Attributes of nodes: typed, with the unknown ones refused; and the windows of convolutions.

use tract_onnx::pb::{AttributeProto, NodeProto, attribute_proto::AttributeType};

use super::error::NodeError;

/// A node's attributes.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'n>(&'n NodeProto);

impl<'n> Attributes<'n> {
    /// The attributes of `node`, which may have no others than `allowed`.
    pub fn of(node: &'n NodeProto, allowed: &[&str]) -> Result<Self, NodeError> {
        match node.attribute.iter().find(|a| !allowed.contains(&a.name.as_str())) {
            None => Ok(Attributes(node)),
            Some(unknown) => {
                let problem = format!("attribute {} = {}", unknown.name, shown(unknown));
                let list = if allowed.is_empty() { "no attribute".into() } else { allowed.join(", ") };
                Err(NodeError::new(node, problem, list))
            }
        }
    }

    fn get(&self, name: &str, r#type: AttributeType) -> Result<Option<&'n AttributeProto>, NodeError> {
        let Some(found) = self.0.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
        // Writers before IR version 2 left the type out.
        if found.r#type != r#type as i32 && found.r#type != 0 {
            let problem = format!("attribute {name} = {}", shown(found));
            return Err(NodeError::new(self.0, problem, format!("{name} of type {}", r#type.as_str_name())));
        }
        Ok(Some(found))
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, NodeError> {
        Ok(self.get(name, AttributeType::Int)?.map(|a| a.i))
    }

    pub fn float(&self, name: &str) -> Result<Option<f32>, NodeError> {
        Ok(self.get(name, AttributeType::Float)?.map(|a| a.f))
    }

    pub fn ints(&self, name: &str) -> Result<Option<&'n [i64]>, NodeError> {
        Ok(self.get(name, AttributeType::Ints)?.map(|a| a.ints.as_slice()))
    }

    pub fn text(&self, name: &str) -> Result<Option<String>, NodeError> {
        Ok(self.get(name, AttributeType::String)?.map(|a| String::from_utf8_lossy(&a.s).into_owned()))
    }

    /// Refuses an integer attribute that is there with another value than `wanted`.
    pub fn must_be(&self, name: &str, wanted: i64) -> Result<(), NodeError> {
        match self.int(name)? {
            Some(found) if found != wanted => {
                let problem = format!("attribute {name} = {found}");
                Err(NodeError::new(self.0, problem, format!("{name} = {wanted}")))
            }
            _ => Ok(()),
        }
    }
}

/// An attribute's value for people.
fn shown(attribute: &AttributeProto) -> String {
    match AttributeType::try_from(attribute.r#type) {
        Ok(AttributeType::Int) => attribute.i.to_string(),
        Ok(AttributeType::Float) => attribute.f.to_string(),
        Ok(AttributeType::Ints) => format!("{:?}", attribute.ints),
        Ok(AttributeType::Floats) => format!("{:?}", attribute.floats),
        Ok(AttributeType::String) => format!("{:?}", String::from_utf8_lossy(&attribute.s)),
        Ok(other) => format!("a {}", other.as_str_name()),
        Err(_) => format!("of type {}", attribute.r#type),
    }
}

/// Where a convolution looks.
pub(super) struct Windows {
    pub strides: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    /// Rows and columns that come out.
    pub output: [usize; 2],
}

impl Windows {
    /// Reads a Conv's strides, pads, dilations and auto_pad for a kernel over a map.
    pub fn of(
        node: &NodeProto,
        attributes: &Attributes<'_>,
        kernel: [usize; 2],
        map: [usize; 2],
    ) -> Result<Self, NodeError> {
        let refuse = |problem: String, accepted: &str| Err(NodeError::new(node, problem, accepted));
        if let Some(shape) = attributes.ints("kernel_shape")?
            && *shape != kernel.map(|k| k as i64)
        {
            let [rows, columns] = kernel;
            return refuse(
                format!("attribute kernel_shape = {shape:?}, the weights are {rows}x{columns}"),
                "the weights' own shape",
            );
        }
        if let Some(dilations) = attributes.ints("dilations")?
            && *dilations != [1, 1]
        {
            return refuse(format!("attribute dilations = {dilations:?}"), "dilations = [1, 1]");
        }
        let strides = match attributes.ints("strides")? {
            None => [1, 1],
            Some(&[down, right]) if (1..=64).contains(&down) && (1..=64).contains(&right) => {
                [down as usize, right as usize]
            }
            Some(other) => {
                return refuse(format!("attribute strides = {other:?}"), "two strides of 1 to 64");
            }
        };
        let explicit = match attributes.text("auto_pad")?.as_deref() {
            None | Some("" | "NOTSET") => attributes.ints("pads")?,
            Some("VALID") => None,
            Some(other) => {
                return refuse(
                    format!("attribute auto_pad = {other:?}"),
                    "auto_pad = \"NOTSET\" with explicit pads, or \"VALID\"",
                );
            }
        };
        let pads = match explicit.map(<[i64; 4]>::try_from) {
            None => [0; 4],
            Some(Ok(pads)) if (0..4).all(|i| (0..kernel[i % 2] as i64).contains(&pads[i])) => {
                pads.map(|p| p as usize)
            }
            Some(_) => {
                return refuse(
                    format!("attribute pads = {:?}", explicit.unwrap_or_default()),
                    "four pads, each at least 0 and less than the kernel",
                );
            }
        };
        let mut output = [0; 2];
        for axis in 0..2 {
            let padded = map[axis] + pads[axis] + pads[axis + 2];
            if padded < kernel[axis] {
                let ([kh, kw], [h, w]) = (kernel, map);
                return refuse(
                    format!("a {kh}x{kw} kernel over a map of {h}x{w} with pads {pads:?}"),
                    "a kernel no larger than the padded map",
                );
            }
            output[axis] = (padded - kernel[axis]) / strides[axis] + 1;
        }
        Ok(Windows { strides, pads, output })
    }
}
