//! Writes the HTML report of a made-up run to standard output, to look at.

use thalweg_loadgen::html;
use thalweg_loadgen::result::fixture;

fn main() -> Result<(), html::HtmlError> {
    print!("{}", html::render(&fixture::example())?);
    Ok(())
}
