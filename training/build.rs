//! Programs that are linked with LibTorch carry its path, and start with no LD_LIBRARY_PATH. An rpath holds for the package
//! whose build script asks for it: every package of the house that has a program or a test names this script.

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if let Ok(folder) = std::env::var("LIBTORCH") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}/lib");
    }
}
