//! Programs that are linked with LibTorch carry its path, and start with no LD_LIBRARY_PATH. torch-sys tells where it is.
//! An rpath holds for the package whose build script asks for it: a package that only depends on this one asks as well.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
