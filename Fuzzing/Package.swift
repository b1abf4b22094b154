// swift-tools-version: 6.1
import PackageDescription

// A package of its own: it is built with sanitizers, which nobody who builds quern needs.
let package = Package(
    name: "quern-fuzzing",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "quern", path: ".."),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "quern-fuzz",
            dependencies: [
                .product(name: "QuernStore", package: "quern"),
                .product(name: "QuernTesting", package: "quern"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "QuernFuzz",
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ]
)
