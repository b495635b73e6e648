//! XML as data: elements that know where they stand, and attributes that are numbers.

use super::error::ImportError;
use rapier3d::glamx::{DQuat, DVec3};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Deepest nesting, and most elements of a file.
const MAX_DEPTH: usize = 100;
const MAX_ELEMENTS: u32 = 500_000;
/// No length, mass or angle of a hand is larger; what is squared stays finite.
const MAX_NUMBER: f64 = 1e9;

/// An element with everything in it but text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Element {
    pub(crate) tag: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) children: Vec<Self>,
    file: Arc<str>,
    line: usize,
}

impl Element {
    /// Parses the document of a file.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, ImportError> {
        let options = roxmltree::ParsingOptions { nodes_limit: MAX_ELEMENTS, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(text, options)
            .map_err(|error| ImportError::invalid(format!("{file}:{}", error.pos().row), error.to_string()))?;
        let ends: Vec<usize> = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at).collect();
        Self::own(document.root_element(), &file.into(), &ends, 0)
    }

    fn own(node: roxmltree::Node<'_, '_>, file: &Arc<str>, ends: &[usize], depth: usize) -> Result<Self, ImportError> {
        let line = ends.partition_point(|&end| end < node.range().start) + 1;
        let mut element = Self { tag: node.tag_name().name().into(), file: Arc::clone(file), line, ..Self::default() };
        element.attributes = node.attributes().map(|it| (it.name().to_owned(), it.value().to_owned())).collect();
        if depth > MAX_DEPTH {
            return Err(element.error(format!("found more than {MAX_DEPTH} elements in each other")));
        }
        let children = node.children().filter(roxmltree::Node::is_element);
        element.children = children.map(|child| Self::own(child, file, ends, depth + 1)).collect::<Result<_, _>>()?;
        Ok(element)
    }

    /// The element without anything in it.
    pub(crate) fn bare(&self) -> Self {
        Self { tag: self.tag.clone(), file: Arc::clone(&self.file), line: self.line, ..Self::default() }
    }

    /// File, line, tag and name.
    pub(crate) fn place(&self) -> String {
        let name = self.get("name").map(|name| format!(" `{name}`")).unwrap_or_default();
        format!("{}:{}: {}{name}", self.file, self.line, self.tag)
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> ImportError {
        ImportError::invalid(self.place(), reason)
    }

    pub(crate) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }

    pub(crate) fn require(&self, attribute: &str) -> Result<&str, ImportError> {
        self.get(attribute).ok_or_else(|| self.error(format!("found no attribute {attribute}, expected one")))
    }

    pub(crate) fn all<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.tag == tag)
    }

    pub(crate) fn child(&self, tag: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.tag == tag)
    }

    /// All numbers of an attribute, every one finite.
    pub(crate) fn numbers(&self, attribute: &str) -> Result<Option<Vec<f64>>, ImportError> {
        let Some(text) = self.get(attribute) else { return Ok(None) };
        let number = |word: &str| match word.parse::<f64>() {
            Ok(number) if number.abs() <= MAX_NUMBER => Ok(number),
            _ => Err(self.error(format!("{attribute}: found `{}`, expected a finite number", shortened(word)))),
        };
        text.split_whitespace().map(number).collect::<Result<_, _>>().map(Some)
    }

    /// Exactly `N` numbers.
    pub(crate) fn array<const N: usize>(&self, attribute: &str) -> Result<Option<[f64; N]>, ImportError> {
        let Some(numbers) = self.numbers(attribute)? else { return Ok(None) };
        let n = numbers.len();
        let expected = |_| self.error(format!("{attribute}: found {n} numbers, expected {N}"));
        numbers.try_into().map(Some).map_err(expected)
    }

    pub(crate) fn number(&self, attribute: &str) -> Result<Option<f64>, ImportError> {
        Ok(self.array::<1>(attribute)?.map(|[number]| number))
    }

    /// A number that is not negative.
    pub(crate) fn amount(&self, attribute: &str) -> Result<Option<f64>, ImportError> {
        match self.number(attribute)? {
            Some(number) if number < 0.0 => Err(self.error(format!("{attribute}: found {number}, expected 0 or more"))),
            number => Ok(number),
        }
    }

    pub(crate) fn vector(&self, attribute: &str) -> Result<Option<DVec3>, ImportError> {
        Ok(self.array(attribute)?.map(DVec3::from_array))
    }

    /// A direction: a vector that has a length.
    pub(crate) fn direction(&self, attribute: &str) -> Result<Option<DVec3>, ImportError> {
        let Some(vector) = self.vector(attribute)? else { return Ok(None) };
        let no_length = || self.error(format!("{attribute}: found {vector}, expected a direction"));
        vector.try_normalize().ok_or_else(no_length).map(Some)
    }

    /// A quaternion w, x, y, z of any length but none.
    pub(crate) fn quaternion(&self, attribute: &str) -> Result<Option<DQuat>, ImportError> {
        let Some([w, x, y, z]) = self.array(attribute)? else { return Ok(None) };
        let length = (w * w + x * x + y * y + z * z).sqrt();
        if length < 1e-9 {
            return Err(self.error(format!("{attribute}: found a quaternion without length, expected a turn")));
        }
        Ok(Some(DQuat::from_xyzw(x / length, y / length, z / length, w / length)))
    }
}

/// So that an error fits on a screen.
pub(crate) fn shortened(text: &str) -> String {
    const N: usize = 40;
    if text.chars().count() <= N { text.to_owned() } else { text.chars().take(N).chain("...".chars()).collect() }
}
