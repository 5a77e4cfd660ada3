//! Methods, stopping rules and engines by name, with their options.

use lgf::engine::gpu::{AdapterChoice, list_adapters};
use lgf::engine::{EngineChoice, EngineOptions, Opened};
use lgf::flow::{Adam, Flow, GradientDescent, Momentum, OptimalityCriteria, ProjectedGradient};
use lgf::method::{Adaptive, Cadence, Cosine, Field, Fixed, Method, Potential, Stopping};
use lgf::surrogate::SurrogateConfig;
use pyo3::{PyResult, pyfunction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::errors::{exception, setting};
use crate::journal::json;

/// The names of the methods and flows, for messages.
const METHODS: &str = "potential, adaptive (or field), fixed, cosine, or a plain flow: oc, adam, momentum, \
                       gradient-descent, projected-gradient";

/// Lays `options` over the default settings in `base`, in depth; `of` names them in messages.
fn overlay(base: &mut Value, options: &Map<String, Value>, of: &str) -> PyResult<()> {
    let Value::Object(known) = base else {
        *base = Value::Object(options.clone());
        return Ok(());
    };
    for (name, value) in options {
        let Some(entry) = known.get_mut(name) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(setting(format!("{of} has no option `{name}`; it has {}", names.join(", "))));
        };
        match (value, entry.is_object()) {
            // An object of one key whose name differs is another choice of an enumeration.
            (Value::Object(inner), true) if inner.keys().all(|key| entry.get(key).is_some()) => {
                overlay(entry, inner, &format!("{of}'s `{name}`"))?;
            }
            _ => *entry = value.clone(),
        }
    }
    Ok(())
}

/// `default` with `options` laid over it.
fn with_options<T: Serialize + DeserializeOwned>(
    default: &T,
    options: &Map<String, Value>,
    of: &str,
) -> PyResult<T> {
    let wrong = |error: serde_json::Error| setting(format!("an option of {of} has a wrong type: {error}"));
    let mut value = serde_json::to_value(default).map_err(wrong)?;
    overlay(&mut value, options, of)?;
    serde_json::from_value(value).map_err(wrong)
}

/// Takes those options out that the settings `of` have.
fn split<T: Serialize>(of: &T, options: &mut Map<String, Value>) -> Map<String, Value> {
    let Ok(Value::Object(known)) = serde_json::to_value(of) else { return Map::new() };
    known.keys().filter_map(|key| options.remove_entry(key)).collect()
}

/// The flow of this name. Rates have no default, as there is none that suits two problems.
fn flow(name: &str, options: &mut Map<String, Value>) -> PyResult<Flow> {
    macro_rules! of {
        ($variant:ident, $default:expr, $needs_rate:expr) => {{
            let default = $default;
            let given = split(&default, options);
            if $needs_rate && !given.contains_key("rate") {
                return Err(setting(format!("{name} needs a rate: options={{\"rate\": ...}}")));
            }
            Ok(Flow::$variant(with_options(&default, &given, name)?))
        }};
    }
    match name {
        "oc" | "optimality-criteria" => of!(OptimalityCriteria, OptimalityCriteria::default(), false),
        "adam" => of!(Adam, Adam::new(1.0), true),
        "momentum" => of!(Momentum, Momentum { rate: 1.0, friction: 0.0, nesterov: false }, true),
        "gradient-descent" => of!(GradientDescent, GradientDescent { rate: 1.0 }, true),
        "projected-gradient" => of!(ProjectedGradient, ProjectedGradient { rate: 1.0 }, true),
        _ => Err(setting(format!("there is no method or flow `{name}`; there are {METHODS}"))),
    }
}

/// The method of this name with its options, for a smooth function of `dimension` unknowns, or a structure.
/// Those that learn a field have the options of their flow, which the option `flow` names, beside their own.
pub(crate) fn method(
    name: &str,
    mut options: Map<String, Value>,
    dimension: Option<usize>,
) -> PyResult<Method> {
    let name = name.to_lowercase().replace('_', "-");
    let none_left = |left: Map<String, Value>, of: &str| match left.keys().next() {
        Some(key) => Err(setting(format!("{of} has no option `{key}`"))),
        None => Ok(()),
    };
    let learned = match name.as_str() {
        "potential" => {
            let default = dimension.map_or_else(Potential::default, Potential::smooth);
            return Ok(with_options(&default, &options, "the potential")?.into());
        }
        "adaptive" | "field" | "fixed" | "cosine" => name.as_str(),
        plain => {
            let flow = flow(plain, &mut options)?;
            none_left(options, plain)?;
            return Ok(flow.into());
        }
    };
    let of_flow = match options.remove("flow") {
        Some(Value::String(flow)) => flow,
        None => {
            return Err(setting(format!(
                "{learned} needs the flow that it learns: options={{\"flow\": \"adam\", \"rate\": ...}}"
            )));
        }
        Some(other) => return Err(setting(format!("the flow is a name such as \"adam\", not {other}"))),
    };
    let flow = flow(&of_flow, &mut options)?;
    // Optimality criteria are learned as structures need it.
    let is_of_criteria = matches!(flow, Flow::OptimalityCriteria(_));
    let usual = Field::of_criteria();
    let surrogate = if is_of_criteria { usual.surrogate } else { SurrogateConfig::snapshots() };
    Ok(match learned {
        "cosine" => with_options(&Cosine::new(flow, surrogate), &options, "cosine")?.into(),
        "fixed" => {
            let fixed = Fixed::new(10, 20);
            let given = split(&fixed, &mut options);
            let cadence = Cadence::Fixed(with_options(&fixed, &given, learned)?);
            with_options(&Field::new(flow, surrogate, cadence), &options, learned)?.into()
        }
        _ => {
            let adaptive = match usual.cadence {
                Cadence::Adaptive(adaptive) if is_of_criteria => adaptive,
                _ => Adaptive::default(),
            };
            let given = split(&adaptive, &mut options);
            let cadence = Cadence::Adaptive(with_options(&adaptive, &given, learned)?);
            with_options(&Field::new(flow, surrogate, cadence), &options, learned)?.into()
        }
    })
}

/// `default` with the entries of the JSON object `changes` laid over it.
pub(crate) fn stopping(default: Stopping, changes: &str) -> PyResult<Stopping> {
    with_options(&default, &object(changes)?, "the stopping rule")
}

/// The JSON object in a text.
pub(crate) fn object(text: &str) -> PyResult<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| setting(format!("the options are no dictionary: {error}")))
}

/// The engine of this name.
pub(crate) fn engine_choice(name: &str) -> PyResult<EngineChoice> {
    Ok(match name {
        "auto" => EngineChoice::Auto,
        "cpu" => EngineChoice::Cpu,
        "cpu-f32" => EngineChoice::CpuSingle,
        "gpu" => EngineChoice::Gpu,
        _ => {
            return Err(setting(format!(
                "there is no engine `{name}`; there are auto, cpu, cpu-f32 and gpu"
            )));
        }
    })
}

/// The adapter of this name or index.
pub(crate) fn adapter(name: Option<String>) -> Option<AdapterChoice> {
    // Reading a name cannot fail.
    name.and_then(|name| name.parse().ok())
}

/// Opens the engine of this name, on an adapter where one is given.
pub(crate) fn engine(name: &str, adapter: Option<AdapterChoice>) -> PyResult<Opened> {
    let options = EngineOptions { adapter, ..EngineOptions::default() };
    engine_choice(name)?.open_with(&options).map_err(exception)
}

/// All settings of a method, defaults included, as JSON: for a smooth function of `dimension` unknowns, or
/// for a structure.
#[pyfunction]
#[pyo3(signature = (name, options, dimension))]
pub(crate) fn settings(name: &str, options: &str, dimension: Option<usize>) -> PyResult<String> {
    let method = method(name, object(options)?, dimension)?;
    json(&method)
}

/// The names of the GPU adapters, in the order of their indices.
#[pyfunction]
pub(crate) fn adapters() -> Vec<String> {
    let software = |is: bool| if is { ", software" } else { "" };
    list_adapters().iter().map(|a| format!("{}, {}{}", a.name, a.backend, software(a.software))).collect()
}
