//! Default classes: what an element says unless it says otherwise.

use crate::import::element::Element;
use crate::import::error::ImportError;
use std::collections::BTreeMap;

type Attributes = BTreeMap<String, String>;
/// Of a class, by tag.
type Class = BTreeMap<String, Attributes>;

/// All classes by name; that of elements without a class is `main`.
pub(crate) struct Defaults {
    classes: BTreeMap<String, Class>,
}

impl Defaults {
    /// Those of a document.
    pub(crate) fn read(document: &Element) -> Result<Self, ImportError> {
        let mut main = Class::new();
        for section in document.all("default") {
            add_settings(section, &mut main);
        }
        let mut defaults = Self { classes: BTreeMap::from([("main".to_owned(), main.clone())]) };
        for section in document.all("default") {
            if let Some(name) = section.get("class") {
                defaults.classes.insert(name.to_owned(), main.clone());
            }
            defaults.add_classes(section, &main)?;
        }
        Ok(defaults)
    }

    fn add_classes(&mut self, section: &Element, inherited: &Class) -> Result<(), ImportError> {
        for element in section.all("default") {
            let mut class = inherited.clone();
            add_settings(element, &mut class);
            self.add_classes(element, &class)?;
            self.classes.insert(element.require("class")?.to_owned(), class);
        }
        Ok(())
    }

    /// An element with what its class says beside what it says itself; `class` is that of what it is in.
    pub(crate) fn apply(&self, element: &Element, class: &str) -> Result<Element, ImportError> {
        let name = element.get("class").unwrap_or(class);
        let unknown = || element.error(format!("class: found `{name}`, expected one that a <default> has"));
        let class = self.classes.get(name).ok_or_else(unknown)?;
        // Actuators by their short names are general ones.
        let is_actuator = ACTUATORS.contains(&element.tag.as_str());
        let mut applied = element.bare();
        for tag in is_actuator.then_some("general").into_iter().chain([element.tag.as_str()]) {
            applied.attributes.extend(class.get(tag).cloned().unwrap_or_default());
        }
        // Ways to say the same thing replace each other.
        for group in [&["quat", "axisangle", "euler", "xyaxes", "zaxis"][..], &["pos", "fromto"], &["kv", "dampratio"]]
        {
            if group.iter().any(|&attribute| element.get(attribute).is_some()) {
                applied.attributes.retain(|attribute, _| !group.contains(&attribute.as_str()));
            }
        }
        applied.attributes.extend(element.attributes.clone());
        Ok(applied)
    }
}

/// Tags of actuators.
pub(super) const ACTUATORS: [&str; 11] = [
    "general",
    "motor",
    "position",
    "velocity",
    "intvelocity",
    "damper",
    "cylinder",
    "muscle",
    "adhesion",
    "plugin",
    "dcmotor",
];

fn add_settings(section: &Element, class: &mut Class) {
    for element in section.children.iter().filter(|element| element.tag != "default") {
        class.entry(element.tag.clone()).or_default().extend(element.attributes.clone());
    }
}
