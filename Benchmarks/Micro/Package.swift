// swift-tools-version: 6.1
import PackageDescription

// A package of its own: its plugin builds and runs every benchmark target of the package that it is in.
let package = Package(
    name: "quern-micro-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "quern", path: "../.."),
        // Without its traits, which count allocations by libraries that are not everywhere.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "StoreBenchmarks",
            dependencies: [
                .product(name: "Benchmark", package: "benchmark"),
                .product(name: "Quern", package: "quern"),
                .product(name: "QuernStore", package: "quern"),
                .product(name: "QuernTesting", package: "quern"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Benchmarks/StoreBenchmarks",
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ],
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
    ]
)
