// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that nobody who builds quern builds its benchmarks.
let package = Package(
    name: "quern-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "quern", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "quern-bench",
            dependencies: [
                .product(name: "Quern", package: "quern"),
                .product(name: "QuernStore", package: "quern"),
                .product(name: "QuernTesting", package: "quern"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "QuernBench",
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ]
)
