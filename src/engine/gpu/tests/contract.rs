//! Every WGSL file against its Rust contract.

use super::common::*;

fn parse(spec: &KernelSpec, variant: Variant) -> naga::Module {
    let text = spec.text(variant);
    let module = naga::front::wgsl::parse_str(&text)
        .unwrap_or_else(|e| panic!("{}: {}", spec.name, e.emit_to_string(&text)));
    naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    )
    .validate(&module)
    .unwrap_or_else(|e| panic!("{}: {e:?}", spec.name));
    module
}

fn assert_members(
    module: &naga::Module,
    kernel: &str,
    structure: &str,
    expected: &[(&str, usize)],
    size: usize,
) {
    let (_, found) = module
        .types
        .iter()
        .find(|(_, t)| t.name.as_deref() == Some(structure))
        .unwrap_or_else(|| panic!("{kernel}: no struct {structure}"));
    let naga::TypeInner::Struct { members, span } = &found.inner else {
        panic!("{kernel}: {structure} is no struct")
    };
    let members: Vec<_> =
        members.iter().map(|m| (m.name.as_deref().unwrap_or(""), m.offset as usize)).collect();
    assert_eq!(members, expected, "{kernel}: members of {structure}");
    assert_eq!(*span as usize, size, "{kernel}: size of {structure}");
}

#[test]
fn every_shader_is_valid_and_keeps_its_contract() {
    for spec in KERNELS {
        for (eft, tables) in [
            (Eft::Fma, TableFormat::State),
            (Eft::Mask, TableFormat::State),
            (Eft::Plain, TableFormat::F16),
            (Eft::Fma, TableFormat::F16),
        ] {
            let module = parse(spec, Variant { eft, tables });
            assert_eq!(module.entry_points.len(), 1, "{}", spec.name);
            assert_eq!(module.entry_points[0].name, "main", "{}", spec.name);
            assert_members(&module, spec.name, "Params", spec.params, spec.params_size);
            if spec.name == "regression_solve" {
                let fields = [
                    "rows",
                    "features",
                    "matrix_at",
                    "scales_at",
                    "target_at",
                    "target_stride",
                    "coefficient_at",
                    "coefficient_stride",
                    "prediction_at",
                    "prediction_stride",
                    "work_at",
                    "iterations",
                    "refit",
                    "root",
                    "threshold",
                    "refit_root",
                ];
                let offsets: Vec<_> = fields.into_iter().zip((0..).step_by(4)).collect();
                assert_members(&module, spec.name, "Problem", &offsets, size_of::<Problem>());
                assert_eq!(core::mem::offset_of!(Problem, threshold), 56);
            }
            if spec.fragments.contains(&Fragment::Phase) {
                let offsets = [
                    ("ended", core::mem::offset_of!(PhaseState, ended)),
                    ("steps", core::mem::offset_of!(PhaseState, steps)),
                    ("predicted", core::mem::offset_of!(PhaseState, predicted)),
                    ("bracket_low", core::mem::offset_of!(PhaseState, bracket_low)),
                    ("bracket_high", core::mem::offset_of!(PhaseState, bracket_high)),
                    ("distance", core::mem::offset_of!(PhaseState, distance)),
                    ("rate", core::mem::offset_of!(PhaseState, rate)),
                ];
                assert_members(&module, spec.name, "PhaseState", &offsets, size_of::<PhaseState>());
            }
            if spec.fragments.contains(&Fragment::Bracket) {
                let offsets = [
                    ("closed", core::mem::offset_of!(Search, closed)),
                    ("passes", core::mem::offset_of!(Search, passes)),
                    ("multiplier", core::mem::offset_of!(Search, multiplier)),
                    ("drift", core::mem::offset_of!(Search, drift)),
                    ("placed", core::mem::offset_of!(Search, placed)),
                    ("failures", core::mem::offset_of!(Search, failures)),
                    ("excess_low", core::mem::offset_of!(Search, excess_low)),
                    ("excess_high", core::mem::offset_of!(Search, excess_high)),
                    ("candidates", core::mem::offset_of!(Search, candidates)),
                ];
                assert_members(&module, spec.name, "Search", &offsets, size_of::<Search>());
            }
            if spec.fragments.contains(&Fragment::Flow) {
                let offsets = [
                    ("rule", core::mem::offset_of!(FlowRule, rule)),
                    ("rate", core::mem::offset_of!(FlowRule, rate)),
                    ("decay", core::mem::offset_of!(FlowRule, decay)),
                    ("nesterov", core::mem::offset_of!(FlowRule, nesterov)),
                    ("beta1", core::mem::offset_of!(FlowRule, beta1)),
                    ("beta2", core::mem::offset_of!(FlowRule, beta2)),
                    ("one_minus_beta1", core::mem::offset_of!(FlowRule, one_minus_beta1)),
                    ("one_minus_beta2", core::mem::offset_of!(FlowRule, one_minus_beta2)),
                    ("epsilon", core::mem::offset_of!(FlowRule, epsilon)),
                    ("correction1", core::mem::offset_of!(FlowRule, correction1)),
                    ("correction2", core::mem::offset_of!(FlowRule, correction2)),
                    ("amsgrad", core::mem::offset_of!(FlowRule, amsgrad)),
                ];
                assert_members(&module, spec.name, "Flow", &offsets, size_of::<FlowRule>());
            }
            if spec.fragments.contains(&Fragment::Lift) {
                let offsets = [
                    ("rows", core::mem::offset_of!(LiftRule, rows)),
                    ("log_damped", core::mem::offset_of!(LiftRule, log_damped)),
                    ("damping", core::mem::offset_of!(LiftRule, damping)),
                    ("iterate_floor", core::mem::offset_of!(LiftRule, iterate_floor)),
                ];
                assert_members(&module, spec.name, "Lift", &offsets, size_of::<LiftRule>());
            }
            // What every adapter has for a stage, the zero word included.
            assert!(
                spec.access.len() + usize::from(spec.needs_zero()) <= 8,
                "{}: too many bindings",
                spec.name
            );
            let mut bindings: Vec<(u32, Option<Access>)> = module
                .global_variables
                .iter()
                .filter_map(|(_, v)| {
                    let at = v.binding.as_ref()?;
                    if at.group != 0 {
                        return None;
                    }
                    let binding = at.binding;
                    Some(match v.space {
                        naga::AddressSpace::Storage { access }
                            if access.contains(naga::StorageAccess::STORE) =>
                        {
                            (binding, Some(Access::Write))
                        }
                        naga::AddressSpace::Storage { .. } => (binding, Some(Access::Read)),
                        _ => (binding, None),
                    })
                })
                .collect();
            bindings.sort_by_key(|b| b.0);
            let expected: Vec<_> = std::iter::once((0, None))
                .chain(spec.access.iter().enumerate().map(|(i, a)| (i as u32 + 1, Some(*a))))
                .collect();
            assert_eq!(bindings, expected, "{}: bindings", spec.name);
        }
    }
}

#[test]
fn every_shader_file_belongs_to_a_kernel() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
    let mut stems: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "wgsl"))
        .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    stems.sort();
    let mut names: Vec<_> = KERNELS.iter().map(|k| k.name.to_string()).collect();
    names.sort();
    assert_eq!(stems, names);
}
