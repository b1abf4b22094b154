// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that nobody who builds quern builds its benchmarks, nor needs the libraries of its peers.
let package = Package(
    name: "quern-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "quern", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // The peers, as the system has them: `make bench-prerequisites` installs what is missing.
        .systemLibrary(
            name: "CSQLite", path: "SystemLibraries/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
        .systemLibrary(
            name: "CRocksDB", path: "SystemLibraries/CRocksDB", pkgConfig: "rocksdb",
            providers: [.apt(["librocksdb-dev"]), .brew(["rocksdb"])]),
        .systemLibrary(
            name: "CLMDB", path: "SystemLibraries/CLMDB", pkgConfig: "lmdb",
            providers: [.apt(["liblmdb-dev"]), .brew(["lmdb"])]),
        .systemLibrary(
            name: "CLevelDB", path: "SystemLibraries/CLevelDB",
            providers: [.apt(["libleveldb-dev"]), .brew(["leveldb"])]),
        // The same library that the store links, under a name of its own: the store's target is not for others.
        .systemLibrary(
            name: "CPeerLZ4", path: "SystemLibraries/CPeerLZ4", pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"]), .brew(["lz4"])]),
        .executableTarget(
            name: "quern-bench",
            dependencies: [
                "CSQLite", "CRocksDB", "CLMDB", "CLevelDB", "CPeerLZ4",
                .product(name: "Quern", package: "quern"),
                .product(name: "QuernStore", package: "quern"),
                .product(name: "QuernTesting", package: "quern"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "QuernBench",
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ]),
    ]
)
