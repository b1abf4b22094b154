// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

/// Faults fire exactly when told, and at no other call.
@Suite struct FaultTests {
    let files = SimulatedFileSystem()

    /// Makes one call of the kind, with those that it needs before it.
    func make(_ call: FileCall, on files: SimulatedFileSystem) throws {
        switch call {
        case .open: _ = try files.open("/file", .readOnly)
        case .list: _ = try files.list("/")
        case .createDirectory: try files.createDirectory("/d")
        case .rename: try files.rename("/file", to: "/file")
        case .remove:
            if files.contents("/gone") == nil { try files.place([], at: "/gone") }
            try files.remove("/gone")
        case .synchronizeDirectory: try files.synchronizeDirectory("/")
        case .lock: try files.lock("/lock").release()
        case .size: _ = try files.open("/file", .readOnly).size()
        case .read: _ = try files.open("/file", .readOnly).text()
        case .checkLock:
            let lock = try files.lock("/file")
            defer { lock.release() }
            try lock.check()
        case .write: try files.open("/file", .readWrite).write("x")
        case .synchronize: try files.open("/file", .readWrite).synchronize()
        case .map: _ = try files.open("/file", .readOnly).map(length: 1)
        }
    }

    @Test(arguments: FileCall.allCases)
    func theNthCallOfAKindFailsOnce(_ call: FileCall) throws {
        try files.place([1, 2, 3], at: "/file")
        try make(call, on: files)
        files.faults = .failing(call, at: 3, with: .permissionDenied)
        let before = files.calls(of: call)
        var failures: [Int] = []
        for attempt in 1...6 {
            if let error = fileError({ try make(call, on: files) }) {
                #expect(error.errno == .permissionDenied)
                failures.append(attempt)
            }
        }
        #expect(failures == [3])
        #expect(files.faultsFired == 1)
        #expect(files.calls(of: call) == before + 6)
    }

    @Test(arguments: FileCall.allCases)
    func fromTheNthCallOnAllFail(_ call: FileCall) throws {
        try files.place([1, 2, 3], at: "/file")
        files.faults = .failing(call, at: 2, with: .ioError, .fromThenOn)
        let results = (1...5).map { _ in fileError { try make(call, on: files) }?.errno }
        #expect(results == [nil, .ioError, .ioError, .ioError, .ioError])
        files.faults = FaultPlan()
        try make(call, on: files)
    }

    @Test func theNthCallOverall() throws {
        try files.place([1], at: "/file")
        files.faults = .failing(nil, at: 3)
        _ = try files.list("/")
        let file = try files.open("/file", .readWrite)
        #expect(fileError { _ = try file.size() }?.operation == "stat")
        _ = try file.size()
    }

    @Test func faultsCanBeForSomeFilesAlone() throws {
        var plan = FaultPlan()
        plan.fail(.write, at: 2, with: .ioError, in: ".log")
        files.faults = plan
        let log = try files.open("/1.log", .createNew)
        let index = try files.open("/1.index", .createNew)
        try log.write("a")
        try index.write("a")
        try index.write("b")
        let error = fileError { try log.write("b", at: 1) }
        #expect(error == FileError(operation: "write", path: "/1.log", offset: 1, errno: .ioError))
        try log.write("c", at: 1)
        #expect(files.text("/1.log") == "ac")
    }

    @Test func severalFaultsCountByThemselves() throws {
        try files.place([1], at: "/file")
        var plan = FaultPlan()
        plan.fail(.list, at: 1, with: .permissionDenied)
        plan.fail(nil, at: 2, with: .ioError)
        files.faults = plan
        #expect(fileError { _ = try files.list("/") }?.errno == .permissionDenied)
        #expect(fileError { _ = try files.list("/") }?.errno == .ioError)
        _ = try files.list("/")
    }

    @Test func aFailedWriteWritesNothingOrAsMuchAsTold() throws {
        var plan = FaultPlan()
        plan.fail(.write, at: 1)
        plan.fail(.write, at: 2, bytesWritten: 3)
        files.faults = plan
        let file = try files.open("/a", .createNew)
        #expect(fileError { try file.write("hello") } != nil)
        #expect(files.text("/a") == "")
        #expect(fileError { try file.write("hello") } != nil)
        #expect(files.text("/a") == "hel")
    }

    @Test func failedCallsChangeNothing() throws {
        try files.place(Array("x".utf8), at: "/a")
        for call in [FileCall.open, .rename, .remove, .createDirectory, .lock] {
            files.faults = .failing(call, at: 1)
            let failed = fileError {
                switch call {
                case .open: _ = try files.open("/b", .createNew)
                case .rename: try files.rename("/a", to: "/b")
                case .remove: try files.remove("/a")
                case .lock: _ = try files.lock("/b")
                default: try files.createDirectory("/b")
                }
            }
            #expect(failed?.errno == .ioError)
            #expect(try files.list("/") == ["a"])
        }
        try files.makeFile("/b", "", named: false)
        files.faults = .failing(.synchronizeDirectory, at: 1)
        #expect(fileError { try files.synchronizeDirectory("/") } != nil)
        #expect(try files.crash(keeping: .dropAll).list("/") == ["a"])
    }

    // MARK: Capacity

    @Test func aFullDiskTakesWhatFits() throws {
        files.faults.capacity = 10
        let file = try files.open("/a", .createNew)
        try file.write("12345678")
        let error = fileError { try file.write("abcdef", at: 8) }
        #expect(error == FileError(operation: "write", path: "/a", offset: 10, errno: .noSpace))
        #expect(files.text("/a") == "12345678ab")
        try file.write("OVERWRITE", at: 0)
        #expect(files.usedBytes == 10)
    }

    @Test func aFullDiskMayTakeNothing() throws {
        var plan = FaultPlan()
        plan.capacity = 10
        plan.capacityErrno = .diskQuotaExceeded
        plan.fullDiskTakesWhatFits = false
        files.faults = plan
        let file = try files.open("/a", .createNew)
        #expect(fileError { try file.write("12345678901") }?.errno == .diskQuotaExceeded)
        #expect(files.text("/a") == "")
        try file.write("1234567890")
    }

    @Test func spaceComesBack() throws {
        files.faults.capacity = 10
        var file: (any StoreFile)? = try files.makeFile("/a", "1234567890")
        let other = try files.open("/b", .createNew)
        try files.remove("/a")
        #expect(fileError { try other.write("x") }?.errno == .noSpace)
        withExtendedLifetime(file) {}
        file = nil
        try other.write("x")
        files.faults.capacity = 20
        try other.write("12345678901234567890")
        #expect(fileError { try other.write("x", at: 20) }?.errno == .noSpace)
    }

    // MARK: The crash point

    /// Eight changing calls, with others in between.
    func work(on files: SimulatedFileSystem) throws {
        try files.createDirectory("/d")
        let lock = try files.lock("/d/lock")
        defer { lock.release() }
        let file = try files.open("/d/new", .createNew)
        try file.write("content")
        _ = try file.size()
        try file.synchronize()
        _ = try files.list("/d")
        try files.rename("/d/new", to: "/d/file")
        try files.synchronizeDirectory("/d")
        try files.synchronizeDirectory("/")
    }

    @Test func theCrashPointStopsEverything() throws {
        try work(on: files)
        #expect(files.changingCalls == 8)
        for count in 0...8 {
            let files = SimulatedFileSystem()
            files.faults = .crashing(afterCall: count)
            let error = fileError { try work(on: files) }
            #expect(error?.errno == (count == 8 ? nil : .ioError))
            #expect(files.changingCalls == count)
            #expect(files.isStopped)
            #expect(fileError { _ = try files.list("/") }?.errno == .ioError, "reads fail too")
            let remains = files.crash(keeping: .dropAll)
            #expect(remains.text("/d/file") == (count >= 7 ? "content" : nil))
            let everything = files.crash(keeping: .keepAll)
            #expect(everything.text("/d/file") == (count >= 6 ? "content" : nil))
            #expect(everything.faults.crashAfterCall == nil)
            #expect(everything.totalCalls == 0)
        }
    }

    @Test func aSyncAfterTheCrashPointLosesNothing() throws {
        let file = try files.makeFile("/a", "old")
        try file.write("new")
        files.faults = .crashing(afterCall: 0)
        #expect(fileError { try file.synchronize() } != nil)
        let found = Set((0..<50).map { files.crash(keeping: .random(seed: $0)).text("/a") })
        #expect(found == ["old", "new"], "it never ran, so its data is merely unsynced")
    }

    // MARK: Corruption

    @Test func corruptionIsOnTheDiskAtOnce() throws {
        let file = try files.makeFile("/a", "abcdef")
        try files.flipBit(in: "/a", atByte: 1, bit: 0)
        #expect(try file.text() == "accdef")
        try files.truncate("/a", to: 4)
        try files.overwrite("/a", with: Array("XY".utf8), at: 3)
        #expect(try file.text() == "accXY")
        try files.truncate("/a", to: 7)
        #expect(files.crash(keeping: .dropAll).text("/a") == "accXY\0\0")
        #expect(fileError { try files.truncate("/b", to: 0) }?.errno == .noSuchFileOrDirectory)
        #expect(files.contents("/b") == nil)
    }

    @Test func placedFilesAreDurable() throws {
        try files.place(Array("golden".utf8), at: "/store/1.log")
        try files.place(Array("2".utf8), at: "/store/1.log")
        #expect(files.crash(keeping: .dropAll).text("/store/1.log") == "2")
        #expect(files.totalCalls == 0)
    }
}
