// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A writer at work makes nothing look damaged (F26, F27, F28).
@Suite("Verification of a store that is written to (F26, F27, F28)")
struct VerifyLiveTests {
    private func verify(_ files: any FileSystem) throws -> StoreVerification {
        try StoreVerifier.verify(at: ReaderScript.directory, fileSystem: files, options: .init(threads: 1))
    }

    @Test("F27: whatever the writer does between two calls, the store is whole", arguments: [1, 2, 3, 15])
    func intervene(steps: Int) throws {
        var wanted = 1
        var isOver = false
        while !isOver {
            let files = SimulatedFileSystem()
            let script = try ReaderScript(on: files, steps: 12)
            let readOnly = ReaderFiles(files)
            let seen = MutexBox(0)
            readOnly.beforeEach { [wanted] _, _ in
                seen.change { $0 += 1 }
                if seen.value == wanted { _ = try? script.take(steps) }
            }
            let found = try verify(readOnly)
            #expect(!found.isDamaged, "call \(wanted): \(found.findings)")
            #expect(readOnly.refusedCalls.isEmpty)
            isOver = seen.value < wanted
            wanted += 1
            try script.store.closeBlocking()
        }
        #expect(wanted > 20)
    }

    @Test("F27: a writer that goes on all the time keeps no verification from its end")
    func always() throws {
        let files = SimulatedFileSystem()
        let script = try ReaderScript(on: files, steps: 12)
        let readOnly = ReaderFiles(files)
        let seen = MutexBox(0)
        readOnly.beforeEach { _, _ in
            seen.change { $0 += 1 }
            if seen.value.isMultiple(of: 25), script.steps < 400 { _ = try? script.take(1) }
        }
        let found = try verify(readOnly)
        #expect(!found.isDamaged, "\(found.findings)")
        #expect(script.steps > 12)
        try script.store.closeBlocking()
    }

    @Test("F28: a frame that is half written is the end of the log")
    func halfWritten() throws {
        let files = SimulatedFileSystem()
        let script = try ReaderScript(on: files, steps: 13)
        var (log, before, after): (FilePath, Int, [UInt8]) = ("", 0, [])
        // Until a step needs no new segment.
        while after.count <= before {
            let name = try #require(try files.list("/store").filter { $0.hasPrefix("log") }.max())
            log = ReaderScript.directory.appending(name)
            before = files.contents(log)?.count ?? 0
            try script.take(1)
            after = files.contents(log) ?? []
        }
        for length in stride(from: before, to: after.count, by: 5) {
            let copy = files.crash(keeping: .keepAll)
            try copy.place(Array(after[..<length]), at: log)
            let found = try verify(copy)
            #expect(found.findings.allSatisfy { $0.severity < .damage }, "\(length): \(found.findings)")
        }
        try script.store.closeBlocking()
    }
}
