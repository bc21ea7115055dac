//! A JMX file as a tree of its elements.
//!
//! In the file each element is followed by a `hashTree` with what lies below it. Here an element
//! has its children, and among them those that *run* (thread groups, controllers, samplers) apart
//! from those that *apply* to what runs beside and below them.
//!
//! Invariants: elements that are switched off are not in it; it is at most [`MAX_DEPTH`] deep, so
//! that recursion over it is safe.
//!
//! Deliberately absent: what any element means.

use roxmltree::{Document, Node};

/// One element of a plan.
#[derive(Debug)]
pub(super) struct Element<'a> {
    /// Its class without the package, in the spelling of JMeter 5: `HTTPSamplerProxy`.
    pub(super) class: &'a str,
    /// What the user called it.
    pub(super) name: &'a str,
    /// Names from the plan to it.
    pub(super) trail: String,
    /// Where it begins in the file, from 1.
    pub(super) line: usize,
    /// Thread groups, controllers and samplers below it, in order.
    pub(super) runs: Vec<Element<'a>>,
    /// What applies to those and, below a sampler, to itself.
    pub(super) applies: Vec<Element<'a>>,
    node: Node<'a, 'a>,
}

impl<'a> Element<'a> {
    /// `Test Plan > Users > My Sampler (JSR223Sampler)`.
    pub(super) fn path(&self) -> String {
        format!("{} ({})", self.trail, self.class)
    }

    /// `guiclass`, which tells some elements of one class apart.
    pub(super) fn gui(&self) -> &'a str {
        self.node.attribute("guiclass").unwrap_or_default()
    }

    /// A property's text, if it has such a property.
    pub(super) fn text(&self, property: &str) -> Option<String> {
        text_of(self.node, property)
    }

    /// A property that is true or false.
    pub(super) fn flag(&self, property: &str, otherwise: bool) -> bool {
        match self.text(property) {
            None => otherwise,
            Some(text) if text.trim().is_empty() => otherwise,
            Some(text) => text.trim().eq_ignore_ascii_case("true"),
        }
    }

    /// The entries of a collection, directly in it or in an element property `within`.
    pub(super) fn entries(&self, within: &[&str], collection: &str) -> Vec<Entry<'a>> {
        let mut node = self.node;
        for property in within {
            match property_node(node, property) {
                Some(found) => node = found,
                None => return Vec::new(),
            }
        }
        let Some(found) = property_node(node, collection) else { return Vec::new() };
        found.children().filter(Node::is_element).map(Entry).collect()
    }

    /// A property of an element property.
    pub(super) fn inner_text(&self, within: &str, property: &str) -> Option<String> {
        text_of(property_node(self.node, within)?, property)
    }

    /// What an element property is, if it says.
    pub(super) fn inner_class(&self, property: &str) -> Option<&'a str> {
        property_node(self.node, property)?.attribute("elementType")
    }

    /// Itself and all below it, in the file's order except that what applies comes first.
    pub(super) fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Element<'a>)) {
        visit(self);
        self.applies.iter().for_each(|child| child.walk(visit));
        self.runs.iter().for_each(|child| child.walk(visit));
    }
}

/// A member of a collection property.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a>(Node<'a, 'a>);

impl Entry<'_> {
    /// What it consists of, if it is a plain text.
    pub(super) fn plain(&self) -> String {
        own_text(self.0)
    }

    /// A property of it.
    pub(super) fn text(&self, property: &str) -> Option<String> {
        text_of(self.0, property)
    }

    /// A property of it that is true or false.
    pub(super) fn flag(&self, property: &str) -> bool {
        self.text(property).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }
}

/// What reading a tree needs to know of classes.
pub(super) trait Classes {
    /// What to do with an element. It is called once for each that is switched on, parents first.
    fn role(&mut self, element: &Element<'_>) -> Role;
}

/// What an element is to a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// See [`Element::runs`].
    Runs,
    /// See [`Element::applies`].
    Applies,
    /// It is left out, and all below it.
    Out,
}

/// Why a document is not a plan.
#[derive(Debug)]
pub(super) struct NotAPlan {
    /// Where, from 1.
    pub(super) line: Option<usize>,
    /// What is wrong.
    pub(super) reason: String,
}

/// Reads the tree below the plan's root: the `TestPlan`.
pub(super) fn read<'a>(
    document: &'a Document<'a>,
    classes: &mut impl Classes,
) -> Result<Element<'a>, NotAPlan> {
    let root = document.root_element();
    let at = |node: Node<'_, '_>| document.text_pos_at(node.range().start).row as usize;
    let wrong = |node, reason: &str| NotAPlan { line: Some(at(node)), reason: reason.into() };
    if root.tag_name().name() != "jmeterTestPlan" {
        return Err(wrong(root, "expected a JMeter test plan, whose root is <jmeterTestPlan>"));
    }
    let tree = elements(root).find(|node| is_tree(*node));
    let tree = tree.ok_or_else(|| wrong(root, "expected a <hashTree> with the plan in it"))?;
    let mut builder = Builder { document, classes };
    let plan = pairs(tree).find(|(node, _)| class(*node) == "TestPlan");
    let (node, below) = plan.ok_or_else(|| wrong(tree, "expected a <TestPlan> in it"))?;
    builder.element(node, below, "", 0).map(|(element, _)| element)
}

struct Builder<'a, 'c, C> {
    document: &'a Document<'a>,
    classes: &'c mut C,
}

impl<'a, C: Classes> Builder<'a, '_, C> {
    fn element(
        &mut self,
        node: Node<'a, 'a>,
        below: Option<Node<'a, 'a>>,
        parent: &str,
        depth: usize,
    ) -> Result<(Element<'a>, Role), NotAPlan> {
        let line = self.document.text_pos_at(node.range().start).row as usize;
        if depth > MAX_DEPTH {
            let reason = format!("elements are nested more than {MAX_DEPTH} deep");
            return Err(NotAPlan { line: Some(line), reason });
        }
        let class = class(node);
        let name = node.attribute("testname").filter(|name| !name.is_empty()).unwrap_or(class);
        let trail = if parent.is_empty() { name.to_owned() } else { format!("{parent} > {name}") };
        let (runs, applies) = (Vec::new(), Vec::new());
        let mut element = Element { class, name, trail, line, runs, applies, node };
        let role = self.classes.role(&element);
        if role == Role::Out {
            return Ok((element, role));
        }
        for (child, below) in below.into_iter().flat_map(pairs) {
            if child.attribute("enabled").is_some_and(|on| on.trim() == "false") {
                continue;
            }
            match self.element(child, below, &element.trail, depth + 1)? {
                (child, Role::Runs) => element.runs.push(child),
                (child, Role::Applies) => element.applies.push(child),
                (_, Role::Out) => {}
            }
        }
        Ok((element, role))
    }
}

/// Elements of a `hashTree`, each with the `hashTree` that follows it.
fn pairs<'a>(tree: Node<'a, 'a>) -> impl Iterator<Item = (Node<'a, 'a>, Option<Node<'a, 'a>>)> {
    elements(tree).filter(|node| !is_tree(*node)).map(|node| {
        let next = node.next_sibling_element();
        (node, next.filter(|next| is_tree(*next)))
    })
}

fn elements<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(Node::is_element)
}

fn is_tree(node: Node<'_, '_>) -> bool {
    node.tag_name().name() == "hashTree"
}

/// Tags are short names or, of plugins and in old files, whole class names.
fn class<'a>(node: Node<'a, 'a>) -> &'a str {
    let tag = node.tag_name().name();
    match tag.rsplit('.').next().unwrap_or(tag) {
        "HTTPSampler" | "HTTPSampler2" => "HTTPSamplerProxy",
        class => class,
    }
}

/// Properties are `<stringProp name="x">value</stringProp>`, whatever the type; some of older
/// versions are `<doubleProp><name>x</name><value>1.0</value></doubleProp>`.
fn property_node<'a>(node: Node<'a, 'a>, property: &str) -> Option<Node<'a, 'a>> {
    elements(node).find(|child| {
        child.attribute("name") == Some(property)
            || elements(*child)
                .any(|part| part.tag_name().name() == "name" && own_text(part) == property)
    })
}

fn text_of(node: Node<'_, '_>, property: &str) -> Option<String> {
    let found = property_node(node, property)?;
    let value = elements(found).find(|part| part.tag_name().name() == "value");
    Some(own_text(value.unwrap_or(found)))
}

/// All text directly in a node, which comments may cut.
fn own_text(node: Node<'_, '_>) -> String {
    node.children().filter(|child| child.is_text()).filter_map(|child| child.text()).collect()
}

const MAX_DEPTH: usize = 64;
