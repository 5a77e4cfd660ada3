//! Every WGSL file against its Rust contract.

use std::collections::BTreeSet;

use super::super::shared::{Literal, STRUCTURES, cases, numbers};
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
    let mut met = BTreeSet::new();
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
            for structure in STRUCTURES {
                if module.types.iter().any(|(_, t)| t.name.as_deref() == Some(structure.name)) {
                    assert_members(&module, spec.name, structure.name, structure.members, structure.size);
                    met.insert(structure.name);
                }
            }
            assert_eq!(module.entry_points[0].workgroup_size, [spec.threads, 1, 1], "{}", spec.name);
            assert_constants(&module, spec.name);
            // What every adapter has for a stage, the zero word included.
            assert!(spec.storage_buffers() <= 8, "{}: too many bindings", spec.name);
            let mut bindings: Vec<(u32, &str, Option<Access>)> = module
                .global_variables
                .iter()
                .filter_map(|(_, v)| {
                    let at = v.binding.as_ref().filter(|at| at.group == 0)?;
                    let access = match v.space {
                        naga::AddressSpace::Storage { access }
                            if access.contains(naga::StorageAccess::STORE) =>
                        {
                            Some(Access::Write)
                        }
                        naga::AddressSpace::Storage { .. } => Some(Access::Read),
                        naga::AddressSpace::Uniform if at.binding > 0 => Some(Access::Uniform),
                        _ => None,
                    };
                    Some((at.binding, v.name.as_deref().unwrap_or(""), access))
                })
                .collect();
            bindings.sort_by_key(|b| b.0);
            let expected: Vec<_> = std::iter::once((0, "params", None))
                .chain(spec.buffers.iter().enumerate().map(|(i, (name, a))| (i as u32 + 1, *name, Some(*a))))
                .collect();
            assert_eq!(bindings, expected, "{}: bindings", spec.name);
        }
    }
    let shared: BTreeSet<_> = STRUCTURES.iter().map(|structure| structure.name).collect();
    assert_eq!(met, shared, "a shared structure occurs in no kernel");
}

/// WGSL sees the numbers and the enumerations that Rust has, by the names that Rust knows them by.
fn assert_constants(module: &naga::Module, kernel: &str) {
    let cases = cases().into_iter().map(|(name, value)| (name, Literal::U32(value)));
    for (name, value) in numbers().into_iter().chain(cases) {
        let (_, constant) = module
            .constants
            .iter()
            .find(|(_, c)| c.name.as_deref() == Some(name))
            .unwrap_or_else(|| panic!("{kernel}: no constant {name}"));
        let found = match module.global_expressions[constant.init] {
            naga::Expression::Literal(naga::Literal::U32(value)) => Literal::U32(value),
            naga::Expression::Literal(naga::Literal::F32(value)) => Literal::F32(value),
            ref other => panic!("{kernel}: {name} is {other:?}"),
        };
        assert_eq!(found, value, "{kernel}: {name}");
    }
}

/// What the counters that wgpu puts into loops are left out for: every loop has a counter of its own, which
/// its header moves. The one kernel with another loop keeps them.
#[test]
fn loops_count() {
    for spec in KERNELS {
        let text = spec.text(Variant { eft: Eft::Fma, tables: TableFormat::F16 });
        assert_eq!(
            KernelSpec::has_counted_loops_only(&text),
            spec.name != "reduced_integrate",
            "{}",
            spec.name
        );
        for header in text.lines().filter(|line| line.trim_start().starts_with("for (")) {
            let moves = ["++)", "--)", "+= ", "*= 2u)", "/= 2u)"]
                .iter()
                .any(|step| header.rsplit(';').next().is_some_and(|last| last.contains(step)));
            assert!(header.contains("for (var ") && moves, "{}: {header}", spec.name);
        }
    }
}

/// Numbers that Rust has a name for do not stand in a shader once more.
#[test]
fn no_shader_writes_a_workgroup_size_of_its_own() {
    for spec in KERNELS {
        assert!(spec.source.contains("@workgroup_size(THREADS)"), "{}", spec.name);
        for (name, _) in numbers() {
            let text = spec.text(Variant { eft: Eft::Fma, tables: TableFormat::F16 });
            assert_eq!(text.matches(&format!("const {name}:")).count(), 1, "{}: {name}", spec.name);
        }
    }
}

#[test]
fn every_shader_file_belongs_to_a_kernel() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders"));
    let mut stems: Vec<String> = ["", "fem"]
        .iter()
        .flat_map(|sub| std::fs::read_dir(folder.join(sub)).unwrap())
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "wgsl"))
        .map(|p| p.strip_prefix(folder).unwrap().with_extension("").to_string_lossy().into_owned())
        .collect();
    stems.sort();
    let mut names: Vec<_> = KERNELS.iter().map(|k| k.name.to_string()).collect();
    names.sort();
    assert_eq!(stems, names);
}
