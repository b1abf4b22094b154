// swift-tools-version: 6.1
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "quern",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "QuernStore", targets: ["QuernStore"]),
        .library(name: "Quern", targets: ["Quern"]),
        .library(name: "QuernJSON", targets: ["QuernJSON"]),
        .library(name: "QuernTesting", targets: ["QuernTesting"]),
        .executable(name: "quern", targets: ["QuernTool"]),
        .executable(name: "dirscan", targets: ["dirscan"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // The C side: the system's LZ4, and kernels that Swift cannot express.
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .target(name: "CQuernKernels"),

        // The store: ids, parents, outcomes and bytes.
        .target(
            name: "QuernStore",
            dependencies: [
                "CLZ4", "CQuernKernels",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                systemPackage,
            ],
            swiftSettings: strict),

        // Tasks on the store.
        .target(
            name: "Quern",
            dependencies: [
                "QuernStore",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: strict),

        // Tasks and memos as JSON: apart, since it links Foundation's essentials.
        .target(name: "QuernJSON", dependencies: ["QuernStore", "Quern"], swiftSettings: strict),

        // A simulated file system and a manual clock, for our tests and for users' tests.
        .target(
            name: "QuernTesting",
            dependencies: ["QuernStore", "Quern", systemPackage, .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),

        // The commands.
        .executableTarget(
            name: "QuernTool",
            dependencies: [
                "Quern", "QuernStore", systemPackage,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .target(
            name: "DirScanKit", dependencies: ["Quern", systemPackage], path: "Examples/DirScan/Kit",
            swiftSettings: strict),
        .executableTarget(
            name: "dirscan",
            dependencies: [
                "DirScanKit", "Quern", systemPackage,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Examples/DirScan/Command",
            swiftSettings: strict),

        .target(
            name: "ThumbnailKit", dependencies: ["Quern"], path: "Examples/ThumbnailPipeline/Kit",
            swiftSettings: strict),
        .executableTarget(
            name: "thumbnails",
            dependencies: [
                "Quern", "QuernStore", "ThumbnailKit", systemPackage,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Examples/ThumbnailPipeline/Command",
            swiftSettings: strict),

        // Tests: a folder a module.
        .target(name: "BuiltPrograms", path: "Tests/BuiltPrograms", swiftSettings: strict),
        .testTarget(
            name: "QuernStoreTests",
            dependencies: [
                "QuernStore", "QuernTesting", "QuernTool", "CQuernKernels", "storepair", "BuiltPrograms", systemPackage,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "storepair",
            dependencies: [
                "QuernStore", systemPackage,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/StorePair",
            swiftSettings: strict),
        .executableTarget(
            name: "crashloop",
            dependencies: [
                "Quern", "QuernStore", systemPackage,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/CrashLoop",
            swiftSettings: strict),
        .testTarget(
            name: "QuernTests",
            dependencies: [
                "Quern", "QuernTesting", "crashloop", "BuiltPrograms", systemPackage,
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "QuernTestingTests", dependencies: ["Quern", "QuernTesting", systemPackage], swiftSettings: strict),
        .testTarget(
            name: "QuernJSONTests", dependencies: ["Quern", "QuernJSON", "QuernTesting", systemPackage],
            swiftSettings: strict),
        .testTarget(
            name: "DirScanTests",
            dependencies: ["DirScanKit", "Quern", "QuernTesting", "dirscan", "BuiltPrograms", systemPackage],
            swiftSettings: strict),
        .testTarget(
            name: "ThumbnailTests",
            dependencies: ["Quern", "QuernStore", "QuernTesting", "ThumbnailKit", systemPackage],
            swiftSettings: strict),
        .testTarget(
            name: "DocumentationTests", dependencies: ["Quern", "QuernTesting", systemPackage], swiftSettings: strict),
        .testTarget(
            name: "QuernToolTests",
            dependencies: [
                "Quern", "QuernStore", "QuernTesting", "QuernTool", "BuiltPrograms", systemPackage,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ]
)
