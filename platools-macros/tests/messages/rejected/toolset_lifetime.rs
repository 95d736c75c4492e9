use platools::{tool, toolset};

struct Orders<'a>(&'a str);

#[toolset]
impl<'a> Orders<'a> {
    /// Name.
    #[tool]
    fn name(&self) -> String {
        self.0.to_owned()
    }
}

fn main() {}
