use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn data(count: usize, recycle: bool) -> DataSet {
    let rows = (0..count).map(|row| vec![row.to_string(), format!("<{row}>")]).collect();
    let variables = vec!["number".to_owned(), "text".to_owned()];
    DataSet { variables, rows, file: PathBuf::from("rows.csv"), recycle }
}

/// Row numbers that a thread takes, at most `most`.
fn taken(data: &DataSet, core: u32, cores: u32, most: usize) -> Vec<u64> {
    let mut names = Names::default();
    let mut rows = Rows::new(data, &mut names, core, cores);
    let mut variables = Variables::new(&names);
    let mut out = Vec::new();
    while out.len() < most && rows.next_row(data, &mut variables) {
        let text = |name: &str, names: &mut Names| {
            String::from_utf8(variables.get(names.slot(name)).unwrap().to_vec()).unwrap()
        };
        let number = text("number", &mut names);
        assert_eq!(text("text", &mut names), format!("<{number}>"));
        out.push(number.parse().unwrap());
    }
    out
}

#[test]
fn rows_in_turn() {
    let check = |(count, recycle), (core, cores), want: &[u64]| {
        assert_eq!(taken(&data(count, recycle), core, cores, 5), want);
    };
    check((3, false), (0, 1), &[0, 1, 2]);
    check((3, false), (0, 2), &[0, 2]);
    check((3, false), (1, 2), &[1]);
    check((3, false), (3, 4), &[]);
    check((3, false), (0, 0), &[0, 1, 2]);
    check((3, true), (0, 1), &[0, 1, 2, 0, 1]);
    check((3, true), (1, 2), &[1, 0, 2, 1, 0]);
    check((2, true), (3, 4), &[1, 1, 1, 1, 1]);
    check((0, false), (0, 1), &[]);
    check((0, true), (0, 1), &[]);
}

#[test]
fn at_the_end_the_last_row_stays() {
    let data = data(1, false);
    let mut names = Names::default();
    let mut rows = Rows::new(&data, &mut names, 0, 1);
    let mut variables = Variables::new(&names);
    assert!(rows.next_row(&data, &mut variables));
    assert!(!rows.next_row(&data, &mut variables) && !rows.next_row(&data, &mut variables));
    assert_eq!(variables.get(names.slot("number")), Some(&b"0"[..]));
}

#[test]
fn rows_of_another_length() {
    let mut data = data(1, false);
    data.rows = vec![vec!["1".to_owned()], vec!["2".to_owned(), "b".to_owned(), "c".to_owned()]];
    let mut names = Names::default();
    let mut rows = Rows::new(&data, &mut names, 0, 1);
    let mut variables = Variables::new(&names);
    assert!(rows.next_row(&data, &mut variables));
    assert_eq!(variables.get(names.slot("text")), None);
    assert!(rows.next_row(&data, &mut variables));
    assert_eq!(variables.get(names.slot("text")), Some(&b"b"[..]));
}

proptest! {
    /// All threads together take every row as often as one thread alone would.
    #[test]
    fn threads_share(count in 1_usize..30, cores in 1_u32..6, rounds in 1_usize..4) {
        let recycled = data(count, true);
        let each = count * rounds;
        let mut together: Vec<u64> =
            (0..cores).flat_map(|core| taken(&recycled, core, cores, each)).collect();
        together.sort_unstable();
        let mut alone = taken(&recycled, 0, 1, each * cores as usize);
        alone.sort_unstable();
        prop_assert_eq!(together, alone);

        let once = data(count, false);
        let mut together: Vec<u64> =
            (0..cores).flat_map(|core| taken(&once, core, cores, usize::MAX)).collect();
        together.sort_unstable();
        prop_assert_eq!(together, (0..count as u64).collect::<Vec<_>>());
    }
}
