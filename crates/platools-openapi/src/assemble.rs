//! From pieces with references to one schema that stands by itself.
//!
//! References are replaced by what they lead to, as vendors of models like it; only what contains itself, and what
//! would become too large, stays a definition under `$defs`.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::body::Body;
use crate::document::shown;
use crate::keyword::{is_annotation, map_schemas};
use crate::parameter::Parameter;
use crate::place::{Place, look_up};
use crate::schema::Converter;

/// How many schemas deep references are replaced; readers of JSON have limits, too.
const MAX_DEPTH: usize = 24;

/// How many definitions lead from one to the next; validators follow them on the stack.
const MAX_STEPS: usize = 32;

/// How many definitions are looked at to find a circle; what is larger counts as one.
const MAX_CIRCLE: usize = 5_000;

/// A schema that references lead to.
#[derive(Debug)]
struct Definition {
    schema: Value,
    /// Its bytes as JSON.
    size: usize,
    /// Where its references lead.
    references: Vec<String>,
    /// Those among them that are about the same value.
    in_place: Vec<String>,
}

/// The schemas of a document for one way, each converted once.
pub(crate) struct Schemas<'d> {
    pub(crate) converter: Converter<'d>,
    definitions: RefCell<HashMap<String, Rc<Definition>>>,
    /// Whether a definition contains itself, and whether it does so without anything between.
    cycles: RefCell<HashMap<String, (bool, bool)>>,
    /// The assembled schemas, by the digest of the budget and the schema in pieces: operations that say the same share it.
    assembled: RefCell<HashMap<[u8; 32], Assembled>>,
    /// Parameters and bodies of operations, each once.
    parameters: RefCell<HashSet<Arc<[Parameter]>>>,
    bodies: RefCell<HashSet<Arc<Body>>>,
}

/// How far a schema may grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Beyond this many bytes, references stay references.
    pub(crate) inline: usize,
    /// Beyond this many bytes, what references lead to is left open.
    pub(crate) whole: usize,
}

/// A schema that stands by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Assembled {
    pub(crate) schema: Arc<Value>,
    /// Its bytes as JSON.
    pub(crate) bytes: usize,
    /// Whether something was left open because it would have become too large.
    pub(crate) is_cut: bool,
}

impl<'d> Schemas<'d> {
    pub(crate) fn new(converter: Converter<'d>) -> Self {
        Self {
            converter,
            definitions: RefCell::default(),
            cycles: RefCell::default(),
            assembled: RefCell::default(),
            parameters: RefCell::default(),
            bodies: RefCell::default(),
        }
    }

    /// Follows the references of a converted schema while nothing but annotations is beside them.
    pub(crate) fn behind(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        for _ in 0..32 {
            let target = match &schema {
                Value::Object(object) if object.keys().all(|key| key == "$ref" || is_annotation(key)) => {
                    target(object).map(str::to_owned)
                }
                _ => None,
            };
            let Some(target) = target else { return schema };
            let mut next = self.definition(&target).schema.clone();
            if let (Some(next), Value::Object(beside)) = (next.as_object_mut(), schema) {
                next.extend(beside.into_iter().filter(|(key, _)| key != "$ref"));
            }
            schema = next;
        }
        json!({})
    }

    /// These parameters, shared with the operations that have the same ones.
    pub(crate) fn shared_parameters(&self, parameters: Vec<Parameter>) -> Arc<[Parameter]> {
        shared(&self.parameters, parameters)
    }

    /// This body, shared with the operations that have the same one.
    pub(crate) fn shared_body(&self, body: Body) -> Arc<Body> {
        shared(&self.bodies, body)
    }

    /// One schema of a converted one; the same one for equal ones.
    pub(crate) fn assemble(&self, schema: &Value, budget: Budget) -> Assembled {
        let Budget { inline, whole } = budget;
        let key: [u8; 32] = Sha256::digest(format!("{inline} {whole} {schema}")).into();
        if let Some(known) = self.assembled.borrow().get(&key) {
            return known.clone();
        }
        let (schema, is_cut) = self.assemble_anew(schema, budget);
        let bytes = schema.to_string().len();
        let assembled = Assembled { schema: Arc::new(schema), bytes, is_cut };
        self.assembled.borrow_mut().insert(key, assembled.clone());
        assembled
    }

    fn assemble_anew(&self, schema: &Value, budget: Budget) -> (Value, bool) {
        let mut inlined =
            Pass { schemas: self, left: Some(budget.inline), depth: 0, names: Names::default() };
        let root = inlined.expand(schema);
        if inlined.left.is_some() {
            return inlined.finish(root, budget.whole);
        }
        let mut referring = Pass { schemas: self, left: None, depth: 0, names: Names::default() };
        let root = referring.expand(schema);
        referring.finish(root, budget.whole)
    }

    fn definition(&self, target: &str) -> Rc<Definition> {
        if let Some(known) = self.definitions.borrow().get(target) {
            return Rc::clone(known);
        }
        let place = Place::start(target);
        let Converter { document, warnings, .. } = self.converter;
        let schema = if let Some(schema) = look_up(&document.root, target) {
            self.converter.convert(schema, &place)
        } else {
            let text = format!(
                "`#{}` leads nowhere in this document; anything is taken in its place",
                shown(target)
            );
            warnings.add(&Place::ROOT, text);
            json!({})
        };
        let (mut references, mut in_place) = (Vec::new(), Vec::new());
        collect(&schema, true, &mut references, &mut in_place);
        let definition = Rc::new(Definition { size: schema.to_string().len(), schema, references, in_place });
        self.definitions.borrow_mut().insert(target.to_owned(), Rc::clone(&definition));
        definition
    }

    /// Returns whether a definition leads back to itself, at all and without anything between.
    fn cycle(&self, target: &str) -> (bool, bool) {
        if let Some(known) = self.cycles.borrow().get(target) {
            return *known;
        }
        let reaches = |next: fn(&Definition) -> &Vec<String>| {
            let mut seen = HashSet::new();
            let mut waiting = vec![target.to_owned()];
            while let Some(from) = waiting.pop() {
                for to in next(&self.definition(&from)) {
                    if to == target {
                        return true;
                    }
                    if seen.insert(to.clone()) {
                        waiting.push(to.clone());
                    }
                    if seen.len() > MAX_CIRCLE {
                        return true;
                    }
                }
            }
            false
        };
        let cycle =
            (reaches(|definition| &definition.references), reaches(|definition| &definition.in_place));
        if cycle.1 {
            let text = "this schema is defined by itself; anything is taken in its place";
            self.converter.warnings.add(&Place::start(target), text);
        }
        self.cycles.borrow_mut().insert(target.to_owned(), cycle);
        cycle
    }
}

/// The one among equal values that all share.
fn shared<T: ?Sized + Eq + Hash>(
    known: &RefCell<HashSet<Arc<T>>>,
    value: impl Into<Arc<T>> + Borrow<T>,
) -> Arc<T> {
    let mut known = known.borrow_mut();
    if let Some(same) = known.get(value.borrow()) {
        return Arc::clone(same);
    }
    let value = value.into();
    known.insert(Arc::clone(&value));
    value
}

/// Where the reference of a converted schema leads.
fn target(schema: &Map<String, Value>) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'))
}

fn collect(schema: &Value, is_in_place: bool, references: &mut Vec<String>, in_place: &mut Vec<String>) {
    let Value::Object(object) = schema else { return };
    if let Some(target) = target(object) {
        references.push(target.to_owned());
        if is_in_place {
            in_place.push(target.to_owned());
        }
    }
    let mut inner = object.clone();
    map_schemas(&mut inner, |schema, stays| collect(schema, is_in_place && stays, references, in_place));
}

/// The names of definitions under `$defs`.
#[derive(Default)]
struct Names {
    by_target: HashMap<String, String>,
    taken: HashSet<String>,
    /// Those still to be written, and how many steps away they are.
    waiting: VecDeque<(String, usize)>,
    /// How many steps away the definition is that is being written.
    step: usize,
}

impl Names {
    fn of(&mut self, target: &str) -> String {
        if let Some(name) = self.by_target.get(target) {
            return name.clone();
        }
        let last = target.rsplit('/').next().unwrap_or_default();
        let allowed =
            |next: char| if next.is_ascii_alphanumeric() || "_.-".contains(next) { next } else { '_' };
        let base: String = last.chars().map(allowed).take(64).collect();
        let base = if base.is_empty() { "Root".to_owned() } else { base };
        let mut name = base.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        self.by_target.insert(target.to_owned(), name.clone());
        self.waiting.push_back((target.to_owned(), self.step + 1));
        name
    }
}

/// One way of putting pieces together.
struct Pass<'s, 'd> {
    schemas: &'s Schemas<'d>,
    /// How many bytes may still be put in the place of references; `None` once that was too little.
    left: Option<usize>,
    depth: usize,
    names: Names,
}

impl Pass<'_, '_> {
    fn expand(&mut self, schema: &Value) -> Value {
        self.depth += 1;
        let expanded = self.expand_here(schema);
        self.depth -= 1;
        expanded
    }

    fn expand_here(&mut self, schema: &Value) -> Value {
        let Value::Object(object) = schema else { return schema.clone() };
        let mut object = object.clone();
        map_schemas(&mut object, |schema, _| *schema = self.expand(schema));
        let Some(target) = target(&object).map(str::to_owned) else { return Value::Object(object) };
        let (is_recursive, is_itself) = self.schemas.cycle(&target);
        object.remove("$ref");
        if is_itself {
            return Value::Object(object);
        }
        let definition = self.schemas.definition(&target);
        match self.left {
            Some(left) if !is_recursive => {
                self.left = left.checked_sub(definition.size).filter(|_| self.depth <= MAX_DEPTH);
                if self.left.is_none() {
                    return json!({});
                }
                beside(self.expand(&definition.schema), object)
            }
            _ => {
                let mut reference = Map::new();
                reference.insert("$ref".to_owned(), format!("#/$defs/{}", self.names.of(&target)).into());
                reference.extend(object);
                Value::Object(reference)
            }
        }
    }

    /// Adds the definitions, the nearest first, as long as they fit.
    fn finish(mut self, root: Value, whole: usize) -> (Value, bool) {
        let mut size = root.to_string().len();
        let mut is_cut = false;
        let mut definitions = BTreeMap::new();
        while let Some((target, step)) = self.names.waiting.pop_front() {
            self.names.step = step;
            let definition = self.schemas.definition(&target);
            let name = self.names.of(&target);
            if size + definition.size > whole || step > MAX_STEPS {
                is_cut = true;
                definitions.insert(name, json!({}));
                continue;
            }
            let schema = self.expand(&definition.schema);
            size += schema.to_string().len();
            definitions.insert(name, schema);
        }
        let Value::Object(mut root) = root else { return (root, false) };
        if !definitions.is_empty() {
            root.insert("$defs".to_owned(), Value::Object(definitions.into_iter().collect()));
        }
        (Value::Object(root), is_cut)
    }
}

/// Merges the target of a reference with the keywords beside the reference.
fn beside(schema: Value, beside: Map<String, Value>) -> Value {
    if beside.is_empty() {
        return schema;
    }
    match schema {
        Value::Object(mut object) if beside.keys().all(|key| is_annotation(key)) => {
            object.extend(beside);
            Value::Object(object)
        }
        schema => {
            let mut both = beside;
            match both.get_mut("allOf") {
                Some(Value::Array(all)) => all.push(schema),
                _ => {
                    both.insert("allOf".to_owned(), json!([schema]));
                }
            }
            Value::Object(both)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::report::Warnings;
    use crate::schema::Way;

    const WIDE: Budget = Budget { inline: 10_000, whole: 100_000 };

    fn assembled(schemas: &Value, root: &Value, budget: Budget) -> (Assembled, Vec<String>) {
        let document = json!({"openapi": "3.1.0", "s": schemas}).to_string();
        let document = Document::parse(document.as_bytes()).unwrap();
        let warnings = Warnings::default();
        let assembled = {
            let schemas =
                Schemas::new(Converter { document: &document, warnings: &warnings, way: Way::Request });
            let root = schemas.converter.convert(root, &Place::start("/root"));
            schemas.assemble(&root, budget)
        };
        (assembled, warnings.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn references_are_replaced_by_what_they_lead_to() {
        let schemas =
            json!({"A": {"type": "object", "properties": {"b": {"$ref": "#/s/B"}}}, "B": {"type": "string"}});
        let root = json!({"properties": {"x": {"$ref": "#/s/A", "description": "one"}, "$ref": {"$ref": "#/s/B"},
            "z": {"$ref": "#/s/B", "maxLength": 3}}, "default": {"$ref": "#/s/A"}});
        let expected = json!({"properties": {
            "x": {"type": "object", "properties": {"b": {"type": "string"}}, "description": "one"},
            "$ref": {"type": "string"},
            "z": {"maxLength": 3, "allOf": [{"type": "string"}]},
        }, "default": {"$ref": "#/s/A"}});
        let (schema, warnings) = assembled(&schemas, &root, WIDE);
        assert_eq!((&*schema.schema, schema.is_cut, warnings), (&expected, false, vec![]));
    }

    #[test]
    fn what_contains_itself_stays_a_definition() {
        let schemas = json!({"Tree": {"properties": {"left": {"$ref": "#/s/Tree"}, "leaf": {"$ref": "#/s/Leaf"}}},
            "Leaf": {"type": "integer"}});
        let (tree, warnings) = assembled(&schemas, &json!({"$ref": "#/s/Tree"}), WIDE);
        let expected = json!({"$ref": "#/$defs/Tree", "$defs": {
            "Tree": {"properties": {"left": {"$ref": "#/$defs/Tree"}, "leaf": {"type": "integer"}}}}});
        assert_eq!((&*tree.schema, warnings), (&expected, vec![]));
    }

    #[test]
    fn what_is_defined_by_nothing_but_itself_is_left_open() {
        let schemas = json!({"A": {"$ref": "#/s/B"}, "B": {"$ref": "#/s/A"}, "C": {"allOf": [{"$ref": "#/s/C"}]},
            "D": {"anyOf": [{"$ref": "#/s/D"}, {"type": "string"}], "properties": {"d": {"$ref": "#/s/D"}}}});
        for name in ["A", "C", "D"] {
            let root = json!({"properties": {"x": {"$ref": format!("#/s/{name}")}}});
            let (schema, warnings) = assembled(&schemas, &root, WIDE);
            assert_eq!(*schema.schema, json!({"properties": {"x": {}}}), "{name}");
            assert!(warnings.iter().any(|text| text.contains("defined by itself")), "{warnings:?}");
        }
    }

    #[test]
    fn what_multiplies_becomes_definitions_and_what_is_still_too_large_is_cut() {
        let mut schemas = json!({"S0": {"type": "string", "description": "x".repeat(100)}});
        for level in 1..50 {
            let last = json!({"$ref": format!("#/s/S{}", level - 1)});
            schemas[format!("S{level}")] = json!({"properties": {"a": last, "b": last}});
        }
        let root = json!({"$ref": "#/s/S29"});
        let (schema, _) = assembled(&schemas, &root, WIDE);
        assert_eq!((schema.schema["$defs"].as_object().unwrap().len(), schema.is_cut), (30, false));
        let (schema, _) = assembled(&schemas, &root, Budget { inline: 500, whole: 1_000 });
        assert!(schema.is_cut && schema.schema.to_string().len() < 1_500, "{}", schema.schema);
        assert_eq!(schema.schema["$defs"]["S29"]["properties"]["a"], json!({"$ref": "#/$defs/S28"}));
        // More steps than a validator should take, though there is room.
        let (schema, _) = assembled(&schemas, &json!({"$ref": "#/s/S49"}), WIDE);
        assert_eq!((&schema.schema["$defs"]["S17"], schema.is_cut), (&json!({}), true));
    }

    #[test]
    fn two_definitions_of_one_name_stay_two() {
        let schemas = json!({"x": {"N": {"items": {"$ref": "#/s/x/N"}}}, "y": {"N": {"contains": {"$ref": "#/s/y/N"}}}});
        let root = json!({"properties": {"x": {"$ref": "#/s/x/N"}, "y": {"$ref": "#/s/y/N"}}});
        let (schema, _) = assembled(&schemas, &root, WIDE);
        let expected =
            json!({"N": {"items": {"$ref": "#/$defs/N"}}, "N_2": {"contains": {"$ref": "#/$defs/N_2"}}});
        assert_eq!(schema.schema["$defs"], expected);
    }
}
