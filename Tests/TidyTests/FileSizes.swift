// SPDX-License-Identifier: Apache-2.0
import Testing

/// A clone of the repository stays small: data is made by tests, not kept.
enum FileSizes {
    static let limit = 1 << 20

    static func findings(path: String, size: Int) -> [Finding] {
        size <= limit ? [] : [Finding(path: path, line: 1, message: "the file has \(size) bytes, \(limit) are allowed")]
    }
}

@Suite("Tidy: file sizes")
struct FileSizesTests {
    @Test("No file of the repository is larger than 1 MiB")
    func tree() {
        expectNone(SourceTree.paths.flatMap { FileSizes.findings(path: $0, size: SourceTree.size(of: $0) ?? 0) })
    }

    @Test("A file of one byte more is found")
    func found() {
        #expect(FileSizes.findings(path: "a", size: 1_048_576).isEmpty)
        #expect(
            FileSizes.findings(path: "a", size: 1_048_577).map(\.description)
                == ["a:1: the file has 1048577 bytes, 1048576 are allowed"])
    }

    @Test("Sizes are really read")
    func sizesAreRead() throws {
        let size = try #require(SourceTree.size(of: "Tests/TidyTests/FileSizes.swift"))
        #expect(size > 500)
    }
}
