fn main() { println!("{}", vrl::stdlib::all().len()); }
