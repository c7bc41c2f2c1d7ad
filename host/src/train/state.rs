//! The floats of a module, by path: out, and in again.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// Parameters and running statistics, by their path in the module.
pub type Values = BTreeMap<String, Vec<f32>>;

/// The f32 values of a tensor.
pub fn floats<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec::<f32>().expect("training runs in f32")
}

/// Everything that `module` holds. Running statistics may lag one update behind unless the module came from `valid()`.
pub fn values<M: Module>(module: &M) -> Values {
    shaped(module).into_iter().map(|(path, (_, values))| (path, values)).collect()
}

/// [`values`], each with its shape.
pub fn shaped<M: Module>(module: &M) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.values
}

#[derive(Default)]
struct Reader {
    path: Vec<String>,
    values: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.values.insert(self.path.join("."), (tensor.dims().to_vec(), floats(&tensor)));
    }
}

/// `module` with `values` in the place of its own.
///
/// # Errors
/// The path of the first parameter that `values` lacks or has in another length.
pub fn with_values<M: Module>(module: M, values: &Values) -> Result<M, String> {
    let mut writer = Writer { path: Vec::new(), values, wrong: None };
    let module = module.map(&mut writer);
    match writer.wrong {
        Some(path) => Err(path),
        None => Ok(module),
    }
}

struct Writer<'a> {
    path: Vec<String>,
    values: &'a Values,
    wrong: Option<String>,
}

impl ModuleMapper for Writer<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        let found = self.values.get(&path).filter(|v| v.len() == shape.iter().product::<usize>());
        let tensor = match found {
            Some(new) => {
                let grown = Tensor::from_data(TensorData::new(new.clone(), shape), &tensor.device());
                grown.set_require_grad(tensor.is_require_grad())
            }
            None => {
                self.wrong.get_or_insert(path);
                tensor
            }
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}
